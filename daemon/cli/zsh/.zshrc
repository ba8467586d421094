# The user's own file may put another Python first on the PATH, or export variables that name another environment: the
# environment is activated again behind it.
ZDOTDIR=$MONOBASE_SHELL_ZDOTDIR
[[ ! -r $ZDOTDIR/.zshrc ]] || . "$ZDOTDIR/.zshrc"
eval "$MONOBASE_SHELL_AGAIN"
_monobase_level=${MONOBASE_LOG_LEVEL-warning} MONOBASE_LOG_LEVEL=error
builtin . "$MONOBASE_SHELL_ACTIVATE"
MONOBASE_LOG_LEVEL=$_monobase_level
unset _monobase_level
PROMPT="($MONOBASE_SHELL_LABEL) $PROMPT"
[[ $ZDOTDIR != $HOME ]] || unset ZDOTDIR
unset MONOBASE_SHELL_ZDOTDIR MONOBASE_SHELL_ACTIVATE MONOBASE_SHELL_AGAIN MONOBASE_SHELL_LABEL
