/* SPDX-License-Identifier: MIT */
/*
 * rota-proxy.c - passes connections on to another address, in both directions, byte for byte.
 *
 *   rota-proxy --listen 127.0.0.1:7001 --target 127.0.0.1:7000
 *   rota-proxy --listen 7001 --target 7000 --target 7010 --control /run/user/1000/proxy/control
 *   rota-proxy ctl /run/user/1000/proxy/control show connections
 *
 * For each connection that it accepts it opens one to a target, and joins the two by a relay, which
 * carries ends and resets over. Prints one line on stderr for each address when it is ready, lines
 * there about what goes wrong, and one line on stdout for each connection when it is over:
 *
 *   time=2025-06-01T12:00:00.000Z id=1 client=127.0.0.1:50000 listen=127.0.0.1:7001
 *   target=127.0.0.1:7000 received=64 sent=64 connect_ms=0.100 duration_ms=1.000
 *   reason=client:clean,target:clean spliced=0
 */
#include "proxy.h"

#include <string.h>
#include <unistd.h>

#define PAUSE (100 * ROTA_MILLISECOND)

static const char help[] =
	"usage: rota-proxy --listen ADDRESS... --target ADDRESS... [OPTION]...\n"
	"       rota-proxy ctl PATH show connections|targets|meter|processes [--json|--openmetrics]\n"
	"       rota-proxy ctl PATH drain | close ID\n"
	"       rota-proxy --help | --version\n"
	"\n"
	"Passes each connection to a listening address on to a target.\n"
	"\n"
	"  --listen ADDRESS      where to accept; port 0 is any free port, fd:N an inherited listener\n"
	"  --target ADDRESS      where to pass on to (NAME:PORT will do too); one that fails is skipped\n"
	"  --target original     where each connection was going before an iptables REDIRECT\n"
	"  --balance HOW         which target is first: round-robin, or failover, as they are given\n"
	"                        [round-robin]\n"
	"  --connect-timeout S   until one of the targets must be connected [10]\n"
	"  --idle-timeout S      the end of a side without a byte in either direction; 0: none [600]\n"
	"  --half-close-timeout S  the same after an end in one direction; 0: none [0]\n"
	"  --lifetime S          of a connection; 0: no end [0]\n"
	"  --max-connections N   at once; more wait until some have ended [as many as there are\n"
	"                        descriptors for]\n"
	"  --max-per-source N    at once from one address; more are reset [no limit]\n"
	"  --proxy-from NETWORK  connections from there must begin with a PROXY header, which says\n"
	"                        whose they are: 10.0.0.0/8, ::1, or unix: for all of unix sockets\n"
	"  --send-proxy v1|v2    tell the target in a PROXY header whose connection it is\n"
	"  --drain S             how long connections may still last after a signal [30]\n"
	"  --control PATH        a unix socket for rota-proxy ctl, in a directory that is yours alone\n"
	"  --takeover PATH       a unix socket, in such a directory, at which this process takes over\n"
	"                        from the one that serves, and the next one from this\n"
	"  --processes N         so many of them serve; SIGHUP exchanges them for new ones [this one]\n"
	"  --tls-cert FILE       clients come with TLS: a certificate and its chain, in PEM; several are\n"
	"                        chosen from by the name that a client asks for\n"
	"  --tls-key FILE        the private key of the certificate in the same place\n"
	"  --tls-client-ca FILE  clients must have a certificate by one of these authorities\n"
	"  --tls-client-name NAME  and one of these names: db.example, uri:..., email:..., cn:...\n"
	"  --alpn LIST           the protocols that clients may choose from: h2,http/1.1\n"
	"  --target-tls          targets are connected to with TLS, and verified\n"
	"  --target-ca FILE      whom to believe about them [the system's authorities]\n"
	"  --target-name NAME    what their certificates must be for [the address]\n"
	"  --target-cert FILE    a certificate to show to them\n"
	"  --target-key FILE     its private key\n"
	"  --insecure-target-no-verify  believe whoever answers as a target\n"
	"  --insecure-target-no-name    believe whoever has any valid certificate\n"
	"\n"
	"An ADDRESS is 127.0.0.1:7000, [::1]:7000, unix:/path or unix:@name; a port alone, 7000, is\n"
	"127.0.0.1's. At SIGINT or SIGTERM it accepts no more and ends when its connections have; a\n"
	"second signal ends it at once. At SIGHUP it reads the files of TLS again. Each connection is a\n"
	"line on stdout when it is over. Sockets that systemd passes are listened on, too.\n"
	"\n"
	"Exit status: 0 all went well, 1 it did not, 2 the arguments are wrong.\n";

static void
listener_accept(struct rota_listener *listener, struct rota_stream *client, void *userdata)
{
	(void)listener;
	proxy_enter(userdata, client);
}

static void
listener_paused(struct rota_listener *listener, int error, void *userdata)
{
	struct proxy_listener *ours = userdata;
	char reason[256];

	(void)listener;
	program_warn(&ours->proxy->program, "cannot accept for a moment: %s",
		error == -ROTA_ELIMIT ? "there are --max-connections of them; more wait"
				      : program_explain(error, reason, sizeof(reason)));
}

static void
listener_close(struct rota_listener *listener, const struct rota_close_info *why, void *userdata)
{
	struct proxy_listener *ours = userdata;
	char reason[256];

	(void)listener;
	ours->listener = NULL;
	if (why->reason == ROTA_REASON_LOCAL)
		return;
	program_fail(&ours->proxy->program, "cannot listen on %s any more: %s", ours->name,
		program_explain_close(why, reason, sizeof(reason)));
	program_drain(&ours->proxy->program);
}

static const struct rota_listener_handlers listener_handlers = {
	.on_accept = listener_accept,
	.on_paused = listener_paused,
	.on_close = listener_close,
};

static int
listen_on(struct proxy *proxy, const struct rota_address *address)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct proxy_listener *ours = &proxy->listeners[proxy->listener_count];
	struct rota_address real;

	options.stream = proxy->options->streams;
	options.stream.tls = proxy->tls.clients;
	options.admission = proxy->admission;
	ours->proxy = proxy;
	if (program_listen(&proxy->program, address, &options, &listener_handlers, ours,
		    &ours->listener) != 0)
		return PROGRAM_FAILED;
	proxy->listener_count++;
	rota_listener_address(ours->listener, &real);
	proxy_format(&real, ours->name);
	return 0;
}

static int
proxy_listen(struct proxy *proxy)
{
	struct rota_address address;
	size_t i;

	for (i = 0; i < proxy->options->listen_count; i++) {
		address = proxy_takeover_address(proxy, &proxy->options->listens[i]);
		if (listen_on(proxy, &address) != 0)
			return PROGRAM_FAILED;
	}
	while (proxy->listener_count < PROXY_LISTENERS && proxy_systemd_next(proxy, &address)) {
		if (listen_on(proxy, &address) != 0)
			return PROGRAM_FAILED;
	}
	if (proxy->listener_count > 0)
		return 0;
	program_fail(&proxy->program, "there is nothing to listen on: give --listen ADDRESS");
	return PROGRAM_FAILED;
}

void
proxy_each_listener(struct proxy *proxy, void (*act)(struct rota_listener *listener))
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++) {
		if (proxy->listeners[i].listener)
			act(proxy->listeners[i].listener);
	}
}

void
proxy_pause(struct proxy *proxy)
{
	if (rota_timer_start(proxy->program.ctx, &proxy->pause_timer, PAUSE) < 0)
		return;
	proxy->is_paused = true;
	proxy_each_listener(proxy, rota_listener_pause);
}

void
proxy_resume(struct proxy *proxy)
{
	if (proxy->is_paused)
		proxy_each_listener(proxy, rota_listener_resume);
	proxy->is_paused = false;
}

static int
proxy_pause_over(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	proxy_resume(rota_container_of(timer, struct proxy, pause_timer));
	return 0;
}

static void
proxy_drained(struct rota_context *ctx, size_t cut, void *userdata)
{
	struct proxy *proxy = userdata;

	(void)ctx;
	if (cut > 0)
		program_warn(&proxy->program, "cut off what had not ended after %g s: %zu streams",
			(double)proxy->options->drain / ROTA_SECOND, cut);
}

/* A connection in passage has no end that the proxy could choose: wait for its own. */
static void
proxy_drain(struct program *program)
{
	struct proxy *proxy = rota_container_of(program, struct proxy, program);

	if (!proxy->process)
		proxy_takeover_drain(proxy);
	if (rota_drain(program->ctx, proxy->options->drain, proxy_drained, proxy) < 0)
		rota_context_stop(program->ctx);
}

static void
proxy_turn(struct program *program)
{
	struct proxy *proxy = rota_container_of(program, struct proxy, program);

	proxy_log_turn(&proxy->log, program->ctx);
	if (proxy->process)
		proxy_processes_turn(proxy);
}

/* After program_open, which has raised the limit of descriptors. */
static int
proxy_limit(struct proxy *proxy)
{
	char reason[256];
	int r = rota_admission_new(proxy->program.ctx, &proxy->options->admission,
		&proxy->admission);

	if (r < 0)
		program_fail(&proxy->program, "cannot start: %s",
			program_explain(r, reason, sizeof(reason)));
	return r < 0 ? PROGRAM_FAILED : 0;
}

static int
open_program(struct proxy *proxy)
{
	int status = proxy->process
		? program_prefork_open(&proxy->program, PROXY_NAME, proxy_drain, proxy->process)
		: program_open(&proxy->program, PROXY_NAME, proxy_drain);

	proxy->program.quiet = proxy->process;
	return status;
}

int
proxy_run(struct proxy *proxy)
{
	int status = open_program(proxy);

	if (status != 0)
		return status;
	status = proxy_limit(proxy);
	proxy->program.turn = proxy_turn;
	rota_timer_init(&proxy->pause_timer, proxy_pause_over);
	if (status == 0)
		status = proxy_systemd_begin(proxy);
	if (status == 0)
		status = proxy_takeover_begin(proxy);
	if (status == 0)
		status = proxy_tls_open(proxy);
	if (status == 0)
		status = proxy_listen(proxy);
	if (status == 0 && proxy->options->control)
		status = proxy_control_open(proxy);
	if (status == 0)
		status =
			proxy->process ? proxy_processes_ready(proxy) : proxy_takeover_serve(proxy);
	if (status == 0)
		status = program_run(&proxy->program);
	proxy_takeover_close(proxy);
	program_close(&proxy->program);
	proxy_tls_close(proxy);
	rota_admission_free(proxy->admission);
	proxy_log_flush(&proxy->log, ROTA_SECOND);
	return status;
}

int
main(int argc, char **argv)
{
	static struct proxy_options options;
	static struct proxy proxy = { .options = &options };
	int status;

	if (program_answers(PROXY_NAME, help, argc, argv, &status))
		return status;
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return proxy_ctl(argc - 1, argv + 1);
	status = proxy_read_options(&options, argc, argv);
	if (status != 0)
		return status;
	proxy_log_init(&proxy.log, STDOUT_FILENO);
	proxy_targets_init(&proxy.targets, &options);
	return options.processes > 0 ? proxy_processes_run(&proxy, &options) : proxy_run(&proxy);
}
