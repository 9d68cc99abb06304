/* SPDX-License-Identifier: MIT */
/*
 * echo_report.c - what rota-echo's client prints: the line while it runs, the summary, the JSON.
 * It formats, and knows nothing of streams.
 */
#include "echo.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROWS 12
#define BAR 40
#define MEGABYTE 1e6

static double
seconds(rota_time duration)
{
	return (double)duration / ROTA_SECOND;
}

static double
messages_a_second(const struct echo_result *result)
{
	return result->elapsed > 0 ? (double)result->messages / seconds(result->elapsed) : 0;
}

/* With a comma every three digits. buffer has room for 27 bytes. */
static const char *
format_count(uint64_t count, char *buffer)
{
	char digits[24];
	size_t len, i;
	char *to = buffer;

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	len = strlen(digits);
	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return buffer;
}

/* Three digits and a unit: "12.3 us". buffer has room for 16 bytes. */
static const char *
format_duration(uint64_t nanoseconds, char *buffer)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = (double)nanoseconds;
	size_t unit = 0;

	while (value >= 999.5 && unit < 3) {
		value /= 1000;
		unit++;
	}
	snprintf(buffer, 16, "%.*f %s",
		value >= 99.95           ? 0
			: value >= 9.995 ? 1
					 : 2,
		value, units[unit]);
	return buffer;
}

void
echo_report_live(const struct echo_result *result, rota_time elapsed, double rate)
{
	char messages[27], current[27];

	fprintf(stderr, "\r%6.1f s   %s messages   %s a second\033[K", seconds(elapsed),
		format_count(result->messages, messages), format_count((uint64_t)rate, current));
}

void
echo_report_erase(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

static void
print_quantile(const struct histogram *latency, const char *name, double part)
{
	char text[16];

	printf("   %s %s", name, format_duration(histogram_quantile(latency, part), text));
}

static void
print_rows(const struct histogram *latency)
{
	struct histogram_row rows[ROWS];
	size_t count = histogram_rows(latency, rows, ROWS);
	uint64_t highest = 0;
	char from[16], end[16];
	size_t i;

	for (i = 0; i < count; i++) {
		if (rows[i].count > highest)
			highest = rows[i].count;
	}
	for (i = 0; i < count; i++) {
		int bar = (int)((double)rows[i].count * BAR / (double)highest + 0.5);

		printf("  %8s to %8s  %5.1f %%%s%.*s\n", format_duration(rows[i].from, from),
			format_duration(rows[i].end, end),
			100.0 * (double)rows[i].count / (double)latency->count, bar > 0 ? "  " : "",
			bar, "########################################");
	}
}

void
echo_report_text(const struct echo_client_options *options, const struct echo_result *result)
{
	double rate = messages_a_second(result);
	char address[ROTA_ADDRESS_TEXT];
	char messages[27], a_second[27];

	printf("%llu of %llu connections to %s, %llu message%s of %llu bytes on their way on each\n",
		(unsigned long long)result->open, (unsigned long long)options->connections,
		echo_target(options, address, sizeof(address)), (unsigned long long)options->depth,
		options->depth == 1 ? "" : "s", (unsigned long long)options->size);
	printf("  messages   %s in %.2f s\n", format_count(result->messages, messages),
		seconds(result->elapsed));
	printf("  rate       %s a second, %.1f MB/s each way\n",
		format_count((uint64_t)rate, a_second), rate * (double)options->size / MEGABYTE);
	if (result->version[0] != '\0')
		printf("  TLS        %s with %s, %llu of %llu resumed\n", result->version,
			result->cipher, (unsigned long long)result->resumed,
			(unsigned long long)result->open);
	if (result->messages == 0)
		return;
	printf("  latency ");
	print_quantile(&result->latency, "p50", 0.5);
	print_quantile(&result->latency, "p90", 0.9);
	print_quantile(&result->latency, "p99", 0.99);
	print_quantile(&result->latency, "p99.9", 0.999);
	print_quantile(&result->latency, "max", 1.0);
	printf("\n\n");
	print_rows(&result->latency);
}

/* What comes here is ASCII that prints: formatted addresses, and errors made of them. */
static void
print_json_string(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void
print_json_latency(const struct histogram *latency)
{
	static const struct {
		const char *name;
		double part;
	} quantiles[] = {
		{ "p50", 0.5 },
		{ "p90", 0.9 },
		{ "p99", 0.99 },
		{ "p99_9", 0.999 },
		{ "max", 1.0 },
	};
	size_t i;

	printf("{\"min\": %.3f, \"mean\": %.3f", (double)latency->least / ROTA_MICROSECOND,
		latency->count > 0
			? (double)latency->sum / (double)latency->count / ROTA_MICROSECOND
			: 0);
	for (i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		printf(", \"%s\": %.3f", quantiles[i].name,
			(double)histogram_quantile(latency, quantiles[i].part) / ROTA_MICROSECOND);
	putchar('}');
}

static void
print_json_tls(const struct echo_result *result)
{
	if (result->version[0] == '\0')
		printf("null");
	else
		printf("{\"version\": \"%s\", \"cipher\": \"%s\", \"resumed\": %llu}",
			result->version, result->cipher, (unsigned long long)result->resumed);
}

void
echo_report_json(const struct echo_client_options *options, const struct echo_result *result)
{
	double rate = messages_a_second(result);
	char address[ROTA_ADDRESS_TEXT];

	printf("{\"program\": \"%s\", \"version\": \"%s\", \"address\": ", ECHO_NAME,
		rota_version());
	print_json_string(echo_target(options, address, sizeof(address)));
	printf(", \"connections\": %llu, \"depth\": %llu, \"size\": %llu",
		(unsigned long long)options->connections, (unsigned long long)options->depth,
		(unsigned long long)options->size);
	printf(", \"tls\": ");
	print_json_tls(result);
	printf(", \"open\": %llu, \"seconds\": %.6f, \"messages\": %llu, \"bytes\": %llu",
		(unsigned long long)result->open, seconds(result->elapsed),
		(unsigned long long)result->messages,
		(unsigned long long)result->messages * options->size);
	printf(", \"messages_per_second\": %.1f, \"megabytes_per_second\": %.3f, \"latency_us\": ",
		rate, rate * (double)options->size / MEGABYTE);
	print_json_latency(&result->latency);
	printf(", \"ok\": %s, \"error\": ", result->error[0] == '\0' ? "true" : "false");
	if (result->error[0] == '\0')
		printf("null");
	else
		print_json_string(result->error);
	printf("}\n");
}
