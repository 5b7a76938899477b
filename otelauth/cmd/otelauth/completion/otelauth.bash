# bash completion for otelauth. The command itself knows the candidates.

_otelauth() {
	local words=() word line files='' i
	# bash splits at = and :, which are parts of our words.
	for ((i = 1; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if ((${#words[@]} > 0)) && [[ $word == [=:]* || ${COMP_WORDS[i - 1]} == *[=:] ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
	done
	local last=${words[-1]-} current=${COMP_WORDS[COMP_CWORD]}
	[[ $current == [=:] ]] && current=
	# What readline does not replace: the part of the last word in front of the current piece.
	local kept=${last%"$current"}
	COMPREPLY=()
	while IFS= read -r line; do
		if [[ $line == :files ]]; then
			files=1
			continue
		fi
		line=${line%%$'\t'*}
		line=$(printf '%q' "${line#"$kept"}")
		COMPREPLY+=("$line")
	done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
	if [[ -n $files ]]; then
		compopt -o filenames 2>/dev/null
		while IFS= read -r line; do
			COMPREPLY+=("$line")
		done < <(compgen -f -X '*.lock' -- "$current")
	elif [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
		compopt -o nospace 2>/dev/null
	fi
}
complete -F _otelauth otelauth
