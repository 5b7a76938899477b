#compdef otelauth
# zsh completion for otelauth. The command itself knows the candidates.

_otelauth() {
	local -a candidates
	local line name files=0
	local -a typed=("${(@Q)words[2,CURRENT]}")
	while IFS= read -r line; do
		if [[ $line == :files ]]; then
			files=1
			continue
		fi
		name=${line%%$'\t'*}
		name=${name//:/\\:}
		if [[ $line == *$'\t'* ]]; then
			candidates+=("$name:${line#*$'\t'}")
		else
			candidates+=("$name")
		fi
	done < <("${words[1]}" __complete -- "${typed[@]}" 2>/dev/null)
	if (( files )); then
		[[ $PREFIX == --*=* ]] && compset -P 1 '*='
		_files -F '*.lock' && return 0
	fi
	(( ${#candidates} )) && _describe 'otelauth' candidates
}

if [[ $funcstack[1] == _otelauth ]]; then
	_otelauth "$@"
else
	compdef _otelauth otelauth
fi
