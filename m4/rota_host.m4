# SPDX-License-Identifier: MIT

# ROTA_HOST(VARIABLE, MODULES, NAME, LIBRARY, PACKAGE)
# A main loop that can host a context: VARIABLE_CFLAGS and VARIABLE_LIBS, the conditional
# HAVE_VARIABLE and the shell variable have_VARIABLE. Without it the library for it is left out.
AC_DEFUN([ROTA_HOST],
[PKG_CHECK_MODULES([$1], [$2], [have_$1=yes], [have_$1=no])
AM_CONDITIONAL([HAVE_$1], [test "$have_$1" = yes])
AS_VAR_IF([have_$1], [yes], [],
	[AC_MSG_NOTICE([$4 is left out: no $3, or too old ($2; Debian: $5)])])])
