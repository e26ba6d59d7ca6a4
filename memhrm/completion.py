"""memhrm completion SHELL: print what makes a shell complete commands, settings and their values.

eval "$(memhrm completion bash)"                          # in ~/.bashrc
eval "$(memhrm completion zsh)"                           # in ~/.zshrc, after compinit
memhrm completion fish > ~/.config/fish/completions/memhrm.fish
"""

import sys

from memhrm.config import console
from memhrm.config.complete import candidates

EXAMPLE = """\
examples:
  python -m memhrm.completion bash
  python -m memhrm.completion zsh --line 'memhrm train model='"""

SCRIPTS = {
    "bash": """\
_memhrm() {
  local IFS=$'\\n'
  COMPREPLY=($(memhrm completion bash --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
  [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _memhrm memhrm
""",
    "zsh": """\
_memhrm() {
  local -a found
  found=("${(@f)$(memhrm completion zsh --line "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
  found=(${found:#})
  if (( $#found )); then compadd -S '' -- $found; else _files; fi
}
compdef _memhrm memhrm
""",
    "fish": """\
complete -c memhrm -a '(memhrm completion fish --line (commandline -cp) 2>/dev/null)'
""",
}
"""What each shell has to be told."""


def words_of(line: str) -> list[str]:
    """Return the words behind memhrm of a line that is typed; the last one is unfinished."""
    return line.lstrip().split(" ")[1:]  # Fish keeps the space behind `&&`.


def answer(shell: str, line: str) -> list[str]:
    """Return what the last word of a line can become, as the shell wants it."""
    from memhrm.__main__ import COMMANDS

    words = [word for word in words_of(line)[:-1] if word] + words_of(line)[-1:]
    found = candidates(COMMANDS, words) if words else []
    if shell == "bash" and words and "=" in words[-1]:  # It takes = for the end of a word.
        return [one.rpartition("=")[2] for one in found]
    return found


def main() -> None:
    """Print the script, or with --line what can be typed next."""
    parser = console.Parser(prog="python -m memhrm.completion", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("shell", choices=SCRIPTS)
    parser.add_argument("--line", help="what is typed so far: print what can follow")
    args = parser.parse_args()
    print(SCRIPTS[args.shell] if args.line is None else "\n".join(answer(args.shell, args.line)), end="")
    if args.line is not None:
        print()


if __name__ == "__main__":
    console.run(main)
    sys.exit(0)
