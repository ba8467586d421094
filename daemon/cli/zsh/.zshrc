# The user's own file may put another Python first on the PATH: the environment is activated again behind it.
ZDOTDIR=$MONOBASE_SHELL_ZDOTDIR
[[ ! -r $ZDOTDIR/.zshrc ]] || . "$ZDOTDIR/.zshrc"
_monobase_level=${MONOBASE_LOG_LEVEL-warning} MONOBASE_LOG_LEVEL=error
. "$MONOBASE_SHELL_ACTIVATE"
MONOBASE_LOG_LEVEL=$_monobase_level
unset _monobase_level
PROMPT="($MONOBASE_SHELL_LABEL) $PROMPT"
[[ $ZDOTDIR != $HOME ]] || unset ZDOTDIR
unset MONOBASE_SHELL_ZDOTDIR MONOBASE_SHELL_ACTIVATE MONOBASE_SHELL_LABEL
