# fish completion for otelauth. The command itself knows the candidates.

function __otelauth_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l command $words[1]
    set -e words[1]
    for line in ($command __complete -- $words 2>/dev/null)
        if test "$line" = ':files'
            __fish_complete_path (commandline -ct | string replace -r '^--[^=]*=' '') | string match -v '*.lock'
        else
            echo $line
        end
    end
end

complete -c otelauth -f -a '(__otelauth_complete)'
