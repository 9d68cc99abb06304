# SPDX-License-Identifier: MIT
# Compiler and linker flags that are used if the compiler and the linker take them without a warning.

# ROTA_ADD_FLAG(VARIABLE, FLAG, [IF-REFUSED], [IF-TAKEN])
# FLAG may be several words that belong together. It is tried by compiling and linking a program.
AC_DEFUN([ROTA_ADD_FLAG],
[AS_VAR_PUSHDEF([rota_taken], [rota_cv_flag_$2])dnl
AC_CACHE_CHECK([whether $CC takes $2], [rota_taken],
	[rota_saved_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS $2 -Werror"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]], [[return puts("") < 0;]])],
		[AS_VAR_SET([rota_taken], [yes])], [AS_VAR_SET([rota_taken], [no])])
	CFLAGS=$rota_saved_CFLAGS])
AS_VAR_IF([rota_taken], [yes], [AS_VAR_APPEND([$1], [" $2"])
	$4], [$3])
AS_VAR_POPDEF([rota_taken])])

# ROTA_ADD_FLAGS(VARIABLE, FLAGS): each of them on its own.
AC_DEFUN([ROTA_ADD_FLAGS],
[m4_foreach_w([rota_flag], [$2], [ROTA_ADD_FLAG([$1], m4_defn([rota_flag]))
])])

# ROTA_NEED_FLAG(VARIABLE, FLAG): for what was asked for and cannot be left out.
AC_DEFUN([ROTA_NEED_FLAG],
[ROTA_ADD_FLAG([$1], [$2], [AC_MSG_ERROR([$CC does not take $2])])])
