// Completion for shells: the names of commands are in the script, their flags are asked for.

#include "cli/completion_command.h"

#include <cstdio>
#include <string>

#include "cli/command.h"

namespace sallyport::cli {
namespace {

// Below the names of the commands, a line each, in _sallyport_commands.
constexpr char kBashScript[] = R"bash(
_sallyport_is_command() { [[ $'\n'$_sallyport_commands$'\n' == *$'\n'"$1"$'\n'* ]]; }

# Of the commands' first words, or of the second ones behind the first word $1.
_sallyport_words() {
  local command
  while read -r command; do
    if (($# == 0)); then
      printf '%s\n' "${command%% *}"
    elif [[ $command == "$1 "* ]]; then
      printf '%s\n' "${command#* }"
    fi
  done <<< "$_sallyport_commands"
}

# What a flag of a command takes, as its help names it.
_sallyport_value() {
  "${COMP_WORDS[0]}" "${@:2}" --help 2> /dev/null | sed -n "s/^  $1 \([^ ]*\).*/\1/p"
}

_sallyport() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local typed=("${COMP_WORDS[@]:1:COMP_CWORD-1}") command=() words index
  COMPREPLY=()
  # Behind `sallyport run … --` stands another program's command line.
  for ((index = 0; index < ${#typed[@]}; ++index)); do
    if [[ ${typed[index]} == -- ]]; then
      ((index + 1 == ${#typed[@]})) && mapfile -t COMPREPLY < <(compgen -c -- "$current")
      return
    fi
  done
  if ((${#typed[@]} >= 2)) && _sallyport_is_command "${typed[0]} ${typed[1]}"; then
    command=("${typed[@]:0:2}")
  elif ((${#typed[@]} >= 1)) && _sallyport_is_command "${typed[0]}"; then
    command=("${typed[0]}")
  fi
  if [[ $current == -* ]]; then
    words=$("${COMP_WORDS[0]}" "${command[@]}" --help 2> /dev/null |
      sed -n 's/^  \(--[a-z0-9-]*\).*/\1/p')
  elif ((${#typed[@]} == 0)); then
    words=$(_sallyport_words)
  elif ((${#typed[@]} == 1)) && words=$(_sallyport_words "${typed[0]}") && [[ -n $words ]]; then
    :
  elif [[ $previous == --* ]]; then
    words=$(_sallyport_value "$previous" "${command[@]}")
    [[ $words == *'|'* ]] || return  # Not one of a few: names of files.
    words=${words//'|'/ }
  fi
  [[ -z $words ]] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current" | sort -u)
}

complete -o bashdefault -o default -F _sallyport sallyport
)bash";

int PrintBashScript(const std::string& names, const Arguments& arguments) {
  FlagSet flags("sallyport completion bash",
                "Prints what makes bash complete sallyport's commands and flags. The package "
                "installs it.");
  flags.set_example("source <(sallyport completion bash)");
  flags.ParseOrExit(arguments);
  std::printf("# Completion of sallyport for bash.\n\n_sallyport_commands='%s'\n%s", names.c_str(),
              kBashScript);
  return kDone;
}

}  // namespace

void AddCompletionCommand(std::vector<Command>* commands) {
  std::string names;
  for (const Command& command : *commands) names += command.name + "\n";
  names += "completion bash";
  commands->push_back(
      {"completion bash", "Prints a completion script.",
       [names](const Arguments& arguments) { return PrintBashScript(names, arguments); }});
}

}  // namespace sallyport::cli
