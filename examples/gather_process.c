/* SPDX-License-Identifier: MIT */
/*
 * gather_process.c - a question to all, one of whom is a process of its own.
 *
 * `near` answers in the loop. `archive` stands for a process, which is forked here and asked over
 * channels: it takes its time, answers what it knows, and refuses what it does not. In the end it
 * is killed, and whatever it is asked then has died.
 *
 *   gather_process
 *
 * Prints:
 *
 *   weather.oslo: near answered (12), archive answered (11 a year ago)
 *   weather.rome: near answered (12), archive refused (no records)
 *   weather.oslo: near answered (12), archive died
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/servicemodel.h>

/* The process */

static int
look_up(const struct rota_responder_question *question, const char *topic, const void *bytes,
	size_t len, void *userdata)
{
	static const char answer[] = "11 a year ago";

	(void)bytes;
	(void)len;
	(void)userdata;
	if (strcmp(topic, "weather.oslo") != 0)
		return rota_responder_refuse(question, "no records");
	return rota_responder_answer(question, answer, strlen(answer));
}

static const struct rota_responder_handlers archive_handlers = { .on_question = look_up };

/* Until nobody asks any more. What it does in between may block: it has nothing else to do. */
static int
be_archive(struct rota_channel *questions, struct rota_channel *answers)
{
	struct rota_responder *responder = NULL;
	struct rota_receiver *receiver = NULL;
	struct rota_sender *sender = NULL;
	int r = rota_channel_receiver(questions, &receiver);

	if (r >= 0)
		r = rota_channel_sender(answers, &sender);
	/* The ends of the other side: it would never be alone with them open. */
	rota_channel_free(questions);
	rota_channel_free(answers);
	if (r >= 0)
		r = rota_responder_new(receiver, sender, &archive_handlers, NULL, NULL, &responder);
	if (r >= 0)
		r = rota_responder_handle_until_closed(responder);
	rota_responder_free(responder);
	return r < 0;
}

/* Starts it, and keeps the other ends. */
static int
start_archive(struct rota_sender **ret_sender, struct rota_receiver **ret_receiver, pid_t *ret_pid)
{
	struct rota_channel *questions = NULL;
	struct rota_channel *answers = NULL;
	int r = rota_channel_new(NULL, &questions);

	if (r >= 0)
		r = rota_channel_new(NULL, &answers);
	if (r >= 0) {
		*ret_pid = fork();
		if (*ret_pid == 0)
			_exit(be_archive(questions, answers));
		r = *ret_pid < 0 ? -1 : 0;
	}
	if (r >= 0)
		r = rota_channel_sender(questions, ret_sender);
	if (r >= 0)
		r = rota_channel_receiver(answers, ret_receiver);
	rota_channel_free(questions);
	rota_channel_free(answers);
	return r;
}

/* The loop */

static int
near_asked(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	(void)bytes;
	(void)len;
	(void)userdata;
	return rota_question_answer(question, "12", 2);
}

static const struct rota_gather_producer_handlers near_handlers = { .on_question = near_asked };

static int
open_near(struct rota_gather *gather)
{
	struct rota_gather_producer *producer;
	int r = rota_gather_producer_new(gather, "near", &near_handlers, NULL, &producer);

	return r < 0 ? r : rota_gather_producer_register(producer, "weather.*");
}

static int
open_archive(struct rota_gather *gather, struct rota_sender *sender, struct rota_receiver *receiver,
	struct rota_gather_backing **ret_backing)
{
	int r = rota_gather_backing_new_channel(gather, "archive", sender, receiver, NULL,
		ret_backing);

	if (r < 0) {
		rota_sender_close(sender);
		rota_receiver_close(receiver);
		return r;
	}
	return rota_gather_producer_register(rota_gather_backing_producer(*ret_backing),
		"weather.*");
}

static int
ask(struct rota_gather *gather, const char *topic)
{
	struct rota_gather_summary *summary;
	int r = rota_gather_request_wait(gather, topic, NULL, 0, 5 * ROTA_SECOND, &summary);

	if (r < 0)
		return r;
	printf("%s:", topic);
	for (size_t i = 0; i < summary->count; i++) {
		const struct rota_gather_result *result = &summary->results[i];

		printf("%s %s %s", i > 0 ? "," : "", result->producer,
			rota_gather_outcome_name(result->outcome));
		if (result->outcome == ROTA_GATHER_ANSWERED)
			printf(" (%.*s)", (int)result->len, (const char *)result->bytes);
		else if (result->outcome == ROTA_GATHER_REFUSED)
			printf(" (%s)", result->text);
	}
	printf("\n");
	rota_gather_summary_free(summary);
	return 0;
}

static int
ask_all(struct rota_gather *gather, pid_t pid)
{
	int r = ask(gather, "weather.oslo");

	if (r >= 0)
		r = ask(gather, "weather.rome");
	(void)kill(pid, SIGKILL);
	return r < 0 ? r : ask(gather, "weather.oslo");
}

int
main(void)
{
	struct rota_gather_backing *archive = NULL;
	struct rota_receiver *receiver = NULL;
	struct rota_gather *gather = NULL;
	struct rota_sender *sender = NULL;
	struct rota_context *ctx = NULL;
	pid_t pid;
	/* It is forked before there is anything that it should not have. */
	int r = start_archive(&sender, &receiver, &pid);

	if (r < 0)
		return 1;
	r = rota_context_new(&ctx);
	if (r >= 0)
		r = rota_gather_new(ctx, NULL, &gather);
	if (r >= 0)
		r = open_near(gather);
	if (r >= 0)
		r = open_archive(gather, sender, receiver, &archive);
	if (r >= 0)
		r = ask_all(gather, pid);
	rota_gather_backing_free(archive);
	rota_gather_free(gather);
	rota_context_free(ctx);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return r < 0 || fflush(stdout) != 0;
}
