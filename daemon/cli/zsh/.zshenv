# Of the zsh that `shell` starts: the user's own file, and then .zshrc beside this one.
_monobase_zsh=$ZDOTDIR
ZDOTDIR=${MONOBASE_SHELL_ZDOTDIR:-$HOME}
[[ ! -r $ZDOTDIR/.zshenv ]] || . "$ZDOTDIR/.zshenv"
MONOBASE_SHELL_ZDOTDIR=$ZDOTDIR
ZDOTDIR=$_monobase_zsh
unset _monobase_zsh
