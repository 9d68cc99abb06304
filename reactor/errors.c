/* SPDX-License-Identifier: MIT */
/*
 * Names and texts of error codes, the library's own and errno's.
 *
 * The names of the errnos are a table here, because of the C libraries only glibc can tell them.
 * Their texts are the C library's, so that they read as in every other program. Nothing here is
 * kept between calls, so that any thread may ask.
 */
#include <rota/errors.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* glibc's texts have up to about fifty bytes; a translation may have more, and is cut. */
#define TEXT_MAX 256

struct own_error {
	unsigned number;
	const char *name;
	const char *text;
};

static const struct own_error own_errors[] = {
#define OWN_ERROR(name, value, text) { value, #name, text },
	ROTA_ERRORS(OWN_ERROR)
#undef OWN_ERROR
};

/*
 * All errnos of Linux, because a user's handler may hand any of them through. Where a number has
 * two names, it is the one that our headers use: ENOTSUP.
 */
static const char *const errno_names[] = {
#define NAMED(number) [number] = #number
	NAMED(EPERM), NAMED(ENOENT), NAMED(ESRCH), NAMED(EINTR), NAMED(EIO), NAMED(ENXIO),
	NAMED(E2BIG), NAMED(ENOEXEC), NAMED(EBADF), NAMED(ECHILD), NAMED(EAGAIN), NAMED(ENOMEM),
	NAMED(EACCES), NAMED(EFAULT), NAMED(ENOTBLK), NAMED(EBUSY), NAMED(EEXIST), NAMED(EXDEV),
	NAMED(ENODEV), NAMED(ENOTDIR), NAMED(EISDIR), NAMED(EINVAL), NAMED(ENFILE), NAMED(EMFILE),
	NAMED(ENOTTY), NAMED(ETXTBSY), NAMED(EFBIG), NAMED(ENOSPC), NAMED(ESPIPE), NAMED(EROFS),
	NAMED(EMLINK), NAMED(EPIPE), NAMED(EDOM), NAMED(ERANGE), NAMED(EDEADLK),
	NAMED(ENAMETOOLONG), NAMED(ENOLCK), NAMED(ENOSYS), NAMED(ENOTEMPTY), NAMED(ELOOP),
	NAMED(ENOMSG), NAMED(EIDRM), NAMED(ECHRNG), NAMED(EL2NSYNC), NAMED(EL3HLT), NAMED(EL3RST),
	NAMED(ELNRNG), NAMED(EUNATCH), NAMED(ENOCSI), NAMED(EL2HLT), NAMED(EBADE), NAMED(EBADR),
	NAMED(EXFULL), NAMED(ENOANO), NAMED(EBADRQC), NAMED(EBADSLT), NAMED(EBFONT), NAMED(ENOSTR),
	NAMED(ENODATA), NAMED(ETIME), NAMED(ENOSR), NAMED(ENONET), NAMED(ENOPKG), NAMED(EREMOTE),
	NAMED(ENOLINK), NAMED(EADV), NAMED(ESRMNT), NAMED(ECOMM), NAMED(EPROTO), NAMED(EMULTIHOP),
	NAMED(EDOTDOT), NAMED(EBADMSG), NAMED(EOVERFLOW), NAMED(ENOTUNIQ), NAMED(EBADFD),
	NAMED(EREMCHG), NAMED(ELIBACC), NAMED(ELIBBAD), NAMED(ELIBSCN), NAMED(ELIBMAX),
	NAMED(ELIBEXEC), NAMED(EILSEQ), NAMED(ERESTART), NAMED(ESTRPIPE), NAMED(EUSERS),
	NAMED(ENOTSOCK), NAMED(EDESTADDRREQ), NAMED(EMSGSIZE), NAMED(EPROTOTYPE),
	NAMED(ENOPROTOOPT), NAMED(EPROTONOSUPPORT), NAMED(ESOCKTNOSUPPORT), NAMED(ENOTSUP),
	NAMED(EPFNOSUPPORT), NAMED(EAFNOSUPPORT), NAMED(EADDRINUSE), NAMED(EADDRNOTAVAIL),
	NAMED(ENETDOWN), NAMED(ENETUNREACH), NAMED(ENETRESET), NAMED(ECONNABORTED),
	NAMED(ECONNRESET), NAMED(ENOBUFS), NAMED(EISCONN), NAMED(ENOTCONN), NAMED(ESHUTDOWN),
	NAMED(ETOOMANYREFS), NAMED(ETIMEDOUT), NAMED(ECONNREFUSED), NAMED(EHOSTDOWN),
	NAMED(EHOSTUNREACH), NAMED(EALREADY), NAMED(EINPROGRESS), NAMED(ESTALE), NAMED(EUCLEAN),
	NAMED(ENOTNAM), NAMED(ENAVAIL), NAMED(EISNAM), NAMED(EREMOTEIO), NAMED(EDQUOT),
	NAMED(ENOMEDIUM), NAMED(EMEDIUMTYPE), NAMED(ECANCELED), NAMED(ENOKEY), NAMED(EKEYEXPIRED),
	NAMED(EKEYREVOKED), NAMED(EKEYREJECTED), NAMED(EOWNERDEAD), NAMED(ENOTRECOVERABLE),
	NAMED(ERFKILL), NAMED(EHWPOISON)
#undef NAMED
};

/* The number without its sign: unsigned, because the positive ints have none for INT_MIN. */
static unsigned
magnitude(int error)
{
	return error < 0 ? 0u - (unsigned)error : (unsigned)error;
}

static const struct own_error *
find_own(unsigned number)
{
	size_t i;

	for (i = 0; i < LENGTH(own_errors); i++) {
		if (own_errors[i].number == number)
			return &own_errors[i];
	}
	return NULL;
}

/* NULL for a number that is no errno. */
static const char *
find_errno(unsigned number)
{
	return number < LENGTH(errno_names) ? errno_names[number] : NULL;
}

/*
 * strerror_r has two forms. glibc's returns the text, which need not be in the buffer; that of
 * POSIX, musl's too, returns an error number and writes the buffer. The result's type tells.
 */
static const char *
text_of_pointer(const char *result, const char *buffer)
{
	(void)buffer;
	return result;
}

static const char *
text_of_number(int result, const char *buffer)
{
	(void)result;
	return buffer;
}

#define TEXT_OF(result, buffer) \
	_Generic((result), char * : text_of_pointer, int : text_of_number)((result), (buffer))

const char *
rota_error_name(int error)
{
	const unsigned number = magnitude(error);
	const struct own_error *own = find_own(number);
	const char *name;

	if (own)
		return own->name;
	name = find_errno(number);
	return name ? name : "EUNKNOWN";
}

const char *
rota_strerror(int error, char *buffer, size_t size)
{
	const unsigned number = magnitude(error);
	const struct own_error *own = find_own(number);
	char text[TEXT_MAX] = "";

	if (own)
		snprintf(buffer, size, "%s", own->text);
	else if (number == 0)
		snprintf(buffer, size, "no error");
	else if (find_errno(number))
		snprintf(buffer, size, "%s",
			TEXT_OF(strerror_r((int)number, text, sizeof(text)), text));
	else
		snprintf(buffer, size, "unknown error %d", error);
	return buffer;
}
