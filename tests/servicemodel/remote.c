/* SPDX-License-Identifier: MIT */
/*
 * Remotes: see remote.h.
 */
#include "remote.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In the process */

struct process {
	struct rota_context *ctx; /* NULL: it is blocked */
	struct rota_responder *responder;
	unsigned overs;
};

/* What is answered later. */
struct later {
	struct rota_timer timer;
	struct rota_responder_question question;
	char text[64];
};

static int
on_later(struct rota_context *ctx, struct rota_timer *timer)
{
	struct later *later = rota_container_of(timer, struct later, timer);
	int r = rota_responder_answer(&later->question, later->text, strlen(later->text));

	(void)ctx;
	free(later);
	return r == -ROTA_ELATE ? 0 : r;
}

static int
answer_text(const struct rota_responder_question *question, const char *text)
{
	return rota_responder_answer(question, text, strlen(text));
}

static int
answer_number(const struct rota_responder_question *question, int64_t number)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", (long long)number);
	return answer_text(question, text);
}

static int
answer_later(struct process *process, const struct rota_responder_question *question,
	const char *text)
{
	struct later *later;

	if (process == NULL || process->ctx == NULL)
		return answer_text(question, text);
	later = malloc(sizeof *later);
	if (later == NULL)
		return -ENOMEM;
	rota_timer_init(&later->timer, on_later);
	later->question = *question;
	snprintf(later->text, sizeof later->text, "%s", text);
	return rota_timer_start(process->ctx, &later->timer, 5 * ROTA_MILLISECOND);
}

static int
answer_big(const struct rota_responder_question *question, size_t len)
{
	char *bytes = calloc(1, len);
	int r = bytes != NULL ? rota_responder_answer(question, bytes, len) : -ENOMEM;

	free(bytes);
	return r;
}

static int
answer_sum(const struct rota_responder_question *question, const void *bytes, size_t len)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	int a;
	int b;
	int r;

	if (rota_unpack(bytes, len, NULL, "i i", &a, &b) < 0)
		return rota_responder_refuse(question, "want two numbers");
	r = rota_pack(&buffer, "i", a + b);
	if (r >= 0)
		r = rota_responder_answer(question, buffer.bytes, buffer.len);
	rota_buffer_fini(&buffer);
	return r;
}

/* What a word of counts, or of a process's end, says; otherwise -ENOSYS. */
static int
obey_other(struct process *process, const struct rota_responder_question *question,
	const char *word, const char *topic)
{
	if (strcmp(word, "left") == 0)
		return answer_number(question, rota_responder_left(question) / ROTA_MILLISECOND);
	if (strcmp(word, "topic") == 0)
		return answer_text(question, topic);
	if (strcmp(word, "overs") == 0)
		return answer_number(question, process->overs);
	if (strcmp(word, "stale") == 0)
		return answer_number(question,
			(int64_t)rota_responder_meter(question->responder)->stale);
	if (strcmp(word, "answer-kill") == 0)
		(void)answer_text(question, "last");
	if (strcmp(word, "answer-kill") == 0 || strcmp(word, "kill") == 0)
		raise(SIGKILL);
	if (strcmp(word, "exit") == 0)
		_exit(3);
	return -ENOSYS;
}

static int
on_question(const struct rota_responder_question *question, const char *topic, const void *bytes,
	size_t len, void *userdata)
{
	struct process *process = userdata;
	const char *rest;
	char word[64];
	size_t word_len;

	snprintf(word, sizeof word, "%.*s", (int)len, (const char *)bytes);
	word_len = strcspn(word, " ");
	rest = word[word_len] == ' ' ? word + word_len + 1 : "";
	word[word_len] = '\0';
	if (strcmp(word, "echo") == 0)
		return answer_text(question, rest);
	if (strcmp(word, "later") == 0)
		return answer_later(process, question, rest);
	if (strcmp(word, "refuse") == 0)
		return rota_responder_refuse(question, rest);
	if (strcmp(word, "fail") == 0)
		return rota_responder_fail(question, -EDOM, rest);
	if (strcmp(word, "died") == 0)
		return rota_responder_died(question, rest);
	if (strcmp(word, "error") == 0)
		return -EDOM;
	if (strcmp(word, "big") == 0)
		return answer_big(question, (size_t)atoi(rest));
	if (strcmp(word, "sum") == 0)
		return answer_sum(question, (const char *)bytes + 4, len - 4);
	if (strcmp(word, "silent") == 0 || strcmp(word, "?") == 0)
		return 0;
	return obey_other(process, question, word, topic);
}

static void
on_over(const struct rota_responder_question *question, void *userdata)
{
	struct process *process = userdata;

	(void)question;
	if (process != NULL)
		process->overs++;
}

static void
on_close(struct rota_responder *responder, void *userdata)
{
	struct process *process = userdata;

	(void)responder;
	if (process != NULL)
		rota_context_stop(process->ctx);
}

const struct rota_responder_handlers remote_handlers = { on_question, on_over, on_close };

static int
run_in_turns(struct process *process)
{
	int r = rota_context_new(&process->ctx);

	if (r >= 0)
		r = rota_responder_attach(process->responder, process->ctx);
	if (r >= 0)
		r = rota_iterate(process->ctx, NULL);
	rota_responder_free(process->responder);
	rota_context_free(process->ctx);
	return r;
}

static int
run(struct rota_receiver *questions, struct rota_sender *answers, bool has_context)
{
	struct process process = { .overs = 0 };
	int r = rota_responder_new(questions, answers, &remote_handlers, &process, NULL,
		&process.responder);

	if (r < 0)
		return 10;
	if (has_context)
		return run_in_turns(&process) < 0 ? 11 : 0;
	r = rota_responder_handle_until_closed(process.responder);
	rota_responder_free(process.responder);
	return r < 0 ? 12 : 0;
}

/* Here */

static void
on_died(struct rota_gather_backing *backing, const char *text, void *userdata)
{
	struct remote *remote = userdata;

	assert_ptr_equal(backing, remote->backing);
	remote->deaths++;
	remote->death = text;
}

static void
make_backing(struct remote *remote, struct rota_channel *questions, struct rota_channel *answers)
{
	struct rota_receiver *receiver;
	struct rota_sender *sender;

	assert_int_equal(rota_channel_sender(questions, &sender), 0);
	assert_int_equal(rota_channel_receiver(answers, &receiver), 0);
	assert_int_equal(rota_gather_backing_new_channel(remote->gather, "process", sender,
				 receiver, &remote->options, &remote->backing),
		0);
	assert_int_equal(rota_gather_producer_register(
				 rota_gather_backing_producer(remote->backing), "work"),
		0);
}

static void
init(struct remote *remote, void **state)
{
	static const struct rota_gather_channel_options defaults = ROTA_GATHER_CHANNEL_OPTIONS_INIT;

	*remote = (struct remote){ .ctx = circle_context(state), .options = defaults };
	remote->options.on_died = on_died;
	remote->options.userdata = remote;
	remote->gather = circle_open(remote->ctx);
	ear_open(remote->gather, &remote->ear, "work");
}

void
remote_back(struct remote *remote)
{
	struct rota_channel *questions = open_channel(NULL);
	struct rota_channel *answers = open_channel(NULL);

	assert_int_equal(rota_channel_receiver(questions, &remote->questions), 0);
	assert_int_equal(rota_channel_sender(answers, &remote->answers), 0);
	make_backing(remote, questions, answers);
	rota_channel_free(questions);
	rota_channel_free(answers);
}

void
remote_open(struct remote *remote, void **state)
{
	init(remote, state);
	remote_back(remote);
}

static void
fork_process(struct remote *remote, bool has_context)
{
	struct rota_channel *questions = open_channel(NULL);
	struct rota_channel *answers = open_channel(NULL);

	remote->pid = fork();
	assert_true(remote->pid >= 0);
	if (remote->pid == 0) {
		struct rota_receiver *receiver;
		struct rota_sender *sender;

		alarm(30);
		if (rota_channel_receiver(questions, &receiver) < 0 ||
			rota_channel_sender(answers, &sender) < 0)
			_exit(9);
		rota_channel_free(questions);
		rota_channel_free(answers);
		exit_child(run(receiver, sender, has_context));
	}
	make_backing(remote, questions, answers);
	rota_channel_free(questions);
	rota_channel_free(answers);
}

void
remote_fork(struct remote *remote, void **state, bool has_context)
{
	init(remote, state);
	fork_process(remote, has_context);
}

void
remote_fork_again(struct remote *remote, bool has_context)
{
	rota_gather_backing_free(remote->backing);
	if (remote->pid > 0)
		(void)remote_status(remote);
	fork_process(remote, has_context);
}

int
remote_status(struct remote *remote)
{
	pid_t pid = remote->pid;

	remote->pid = 0;
	return status_of(pid);
}

void
remote_close(struct remote *remote)
{
	rota_gather_summary_free(remote->summary);
	rota_gather_backing_free(remote->backing);
	rota_gather_free(remote->gather);
	rota_receiver_close(remote->questions);
	rota_sender_close(remote->answers);
	if (remote->pid > 0)
		(void)remote_status(remote);
}

const struct rota_gather_result *
remote_ask(struct remote *remote, const char *text, rota_time ttl)
{
	rota_gather_summary_free(remote->summary);
	remote->summary = NULL;
	assert_int_equal(rota_gather_request_wait(remote->gather, "work", text, strlen(text), ttl,
				 &remote->summary),
		0);
	return &remote->summary->results[0];
}

void
remote_expect(struct remote *remote, const char *text, const char *answer)
{
	const struct rota_gather_result *result = remote_ask(remote, text, 10 * ROTA_SECOND);

	assert_string_equal(rota_gather_outcome_name(result->outcome), "answered");
	assert_int_equal(result->len, strlen(answer));
	assert_memory_equal(result->bytes, answer, result->len);
}

/* The other ends, here */

static int
on_far_event(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	struct far *far = userdata;
	struct rota_bytes payload;
	struct rota_text topic;
	rota_time deadline;

	(void)receiver;
	if (strcmp(event->name, "over") == 0) {
		assert_true(rota_event_unpack(event, NULL, "[U _]", &far->over) > 0);
		far->overs++;
		return 0;
	}
	assert_string_equal(event->name, "question");
	assert_true(far->asked < REMOTE_ASKED);
	assert_true(rota_event_unpack(event, NULL, "[U u I s y]", &far->ids[far->asked],
			    &far->indices[far->asked], &deadline, &topic, &payload) > 0);
	assert_true(rota_text_is(&topic, "work"));
	assert_true(deadline > real_time());
	far->lens[far->asked++] = payload.len;
	return 0;
}

int
remote_take(struct remote *remote, struct far *far)
{
	static const struct rota_receiver_handlers handlers = { .on_event = on_far_event };

	circle_spin(remote->ctx);
	rota_receiver_set_handlers(remote->questions, &handlers, far);
	return rota_receiver_handle_pending(remote->questions);
}

void
remote_answer(struct remote *remote, const struct far *far, size_t at, const char *text)
{
	const struct rota_bytes bytes = { text, strlen(text) };

	assert_int_equal(rota_sender_fire(remote->answers, "answer", "[U u y]", far->ids[at],
				 far->indices[at], &bytes),
		0);
}
