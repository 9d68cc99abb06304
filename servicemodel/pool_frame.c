/* SPDX-License-Identifier: MIT */
/*
 * Frames of a pool's display. What is sent beside text is little: carriage return, up, erase to the
 * end of the line, erase below. So there is nothing that a terminal would have to be freed from.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pool_display.h"
#include "pool_load.h"
#include "pool_text.h"

#define SAMPLE_EVERY (ROTA_SECOND / 4)
/* A bar's inner width. */
#define BAR_MOST 24
#define BAR_LEAST 4
/* From which width on a worker's line has a bar. */
#define BAR_COLUMNS 40
#define UP_AND_ERASE "\r\033[%uA\033[J"

static double
seconds(rota_time duration)
{
	return (double)duration / (double)ROTA_SECOND;
}

void
rota__pool_view_sample(struct rota__pool_view *view)
{
	size_t count = view->sample_count;
	const struct rota__pool_sample *last =
		&view->samples[(count + ROTA__POOL_SAMPLES - 1) % ROTA__POOL_SAMPLES];

	if (count > 0 && view->now - last->at < SAMPLE_EVERY)
		return;
	view->samples[count % ROTA__POOL_SAMPLES] =
		(struct rota__pool_sample){ view->now, view->load.ended };
	view->sample_count++;
}

double
rota__pool_view_rate(const struct rota__pool_view *view)
{
	size_t oldest = view->sample_count > ROTA__POOL_SAMPLES
		? view->sample_count % ROTA__POOL_SAMPLES
		: 0;
	const struct rota__pool_sample *from = &view->samples[oldest];
	rota_time passed = view->now - from->at;

	if (view->sample_count == 0 || passed <= 0 || view->load.ended <= from->ended)
		return 0;
	return (double)(view->load.ended - from->ended) / seconds(passed);
}

static uint64_t
total_of(const struct rota__pool_view *view)
{
	return view->total > view->load.total ? view->total : view->load.total;
}

static void
add_duration(struct rota__text *text, double length)
{
	uint64_t s = length < 1e9 ? (uint64_t)(length + 0.5) : 1000000000;

	if (s >= 86400)
		rota__text_add(text, "%" PRIu64 "d %02" PRIu64 "h", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		rota__text_add(text, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60,
			s % 60);
	else
		rota__text_add(text, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
}

void
rota__pool_view_summary(const struct rota__pool_view *view, struct rota__text *text)
{
	const struct rota_pool_load *load = &view->load;
	const uint64_t total = total_of(view);
	double rate = rota__pool_view_rate(view);

	rota__text_add(text, "%" PRIu64 " of %" PRIu64, load->ended, total);
	rota__pool_load_ends(text, load);
	rota__text_add(text, "; load %" PRIu64 " of %u, peak %" PRIu64, load->load,
		load->places - load->given_up, load->peak);
	if (load->lost > 0)
		rota__text_add(text, "; %" PRIu64 " lost", load->lost);
	if (rate > 0)
		rota__text_add(text, rate < 10 ? "; %.2f/s" : "; %.0f/s", rate);
	if (load->ended >= total) {
		rota__text_add(text, "; in ");
		add_duration(text, seconds(view->now - view->began));
	} else if (rate > 0) {
		rota__text_add(text, "; ETA ");
		add_duration(text, (double)(total - load->ended) / rate);
	}
}

/* "[#####-----]  50 %" */
static void
add_bar(struct rota__text *text, unsigned width, uint64_t done, uint64_t total)
{
	double part = done < total ? (double)done / (double)total : 1;
	unsigned filled = (unsigned)(part * width);

	rota__text_add(text, "[");
	for (unsigned i = 0; i < width; i++)
		rota__text_add(text, i < filled ? "#" : "-");
	rota__text_add(text, "] %3u %%", (unsigned)(part * 100));
}

/* As wide: something that goes to and fro, for who does not tell how far it is. */
static void
add_busy(struct rota__text *text, unsigned width, rota_time since)
{
	unsigned way = 2 * (width - 1);
	unsigned at = (unsigned)(since / (ROTA_SECOND / 5) % way);

	if (at >= width)
		at = way - at;
	rota__text_add(text, "[");
	for (unsigned i = 0; i < width; i++)
		rota__text_add(text, i == at ? "#" : "-");
	rota__text_add(text, "]      ");
}

static unsigned
bar_width(unsigned columns)
{
	unsigned width = columns / 4;

	if (width > BAR_MOST)
		width = BAR_MOST;
	return width < BAR_LEAST ? BAR_LEAST : width;
}

static void
add_task(const struct rota__pool_view *view, const struct rota__pool_row *row,
	struct rota__text *text)
{
	const rota_time since = view->now - row->since;

	if (view->columns >= BAR_COLUMNS && row->total > 0)
		add_bar(text, bar_width(view->columns), row->done, row->total);
	else if (view->columns >= BAR_COLUMNS)
		add_busy(text, bar_width(view->columns), since);
	rota__text_add(text, " ");
	add_duration(text, seconds(since));
	rota__text_add(text, " task %" PRIu64, row->task);
	if (row->total == 0 && row->done > 0)
		rota__text_add(text, ", %" PRIu64 " done", row->done);
	if (row->note[0] != '\0')
		rota__text_add(text, ": %s", row->note);
}

static void
add_row(const struct rota__pool_view *view, unsigned index, struct rota__text *text)
{
	static const char *const states[] = {
		[ROTA_POOL_EMPTY] = "lost",
		[ROTA_POOL_STARTING] = "starting",
		[ROTA_POOL_IDLE] = "idle",
		[ROTA_POOL_BUSY] = "busy",
		[ROTA_POOL_ENDING] = "ending",
		[ROTA_POOL_GIVEN_UP] = "given up",
	};
	const struct rota__pool_row *row = &view->rows[index];

	rota__text_add(text, "%3u ", index);
	if (row->state == ROTA_POOL_BUSY && row->task != 0) {
		add_task(view, row, text);
		return;
	}
	rota__text_add(text, "%s", states[row->state]);
	if (row->state == ROTA_POOL_IDLE)
		rota__text_add(text, ", %" PRIu64 " tasks done", row->tasks);
	else if (row->lost[0] != '\0')
		rota__text_add(text, ": %s", row->lost);
}

/* A frame that is being made. */
struct frame {
	const struct rota__pool_view *view;
	char *buffer;
	size_t used;
	unsigned lines;
};

static void
add_line(struct frame *frame, const char *line)
{
	static const char end[] = "\033[K\r\n";
	const struct rota__pool_view *view = frame->view;
	unsigned columns = view->columns;

	if (columns > ROTA__POOL_COLUMNS)
		columns = ROTA__POOL_COLUMNS;
	/* One is left free: in the last, terminals differ about where the cursor is. */
	rota__pool_text_fit(frame->buffer + frame->used, ROTA__POOL_LINE - sizeof end,
		columns > 1 ? columns - 1 : 0, line, strlen(line), view->ascii);
	frame->used += strlen(frame->buffer + frame->used);
	memcpy(frame->buffer + frame->used, end, sizeof end - 1);
	frame->used += sizeof end - 1;
	frame->lines++;
}

/* How many rows the terminal has room for, below the lines at the top, and above the cursor's. */
static unsigned
rows_shown(const struct rota__pool_view *view, unsigned top)
{
	unsigned room = view->lines > top + 1 ? view->lines - top - 1 : 0;

	if (view->row_count <= room && view->row_count == view->load.places)
		return view->row_count;
	/* A line tells of those for which there is none. */
	room = room > 0 ? room - 1 : 0;
	return view->row_count < room ? view->row_count : room;
}

static void
add_rows(struct frame *frame)
{
	const struct rota__pool_view *view = frame->view;
	char line[ROTA__POOL_LINE];
	unsigned shown = rows_shown(view, frame->lines);
	struct rota__text text;

	for (unsigned i = 0; i < shown; i++) {
		text = rota__text_begin(line, sizeof line);
		add_row(view, i, &text);
		add_line(frame, line);
	}
	if (shown < view->load.places && view->lines > frame->lines + 1) {
		text = rota__text_begin(line, sizeof line);
		rota__text_add(&text, "and %u more workers", view->load.places - shown);
		add_line(frame, line);
	}
}

size_t
rota__pool_view_erase(unsigned drawn, char *buffer)
{
	return drawn > 0 ? (size_t)sprintf(buffer, UP_AND_ERASE, drawn) : 0;
}

size_t
rota__pool_view_draw(const struct rota__pool_view *view, unsigned drawn, char *buffer,
	unsigned *ret_drawn)
{
	static const char end[] = { '\033', '[', 'J' };
	struct frame frame = { .view = view, .buffer = buffer };
	char line[ROTA__POOL_LINE];
	struct rota__text text = rota__text_begin(line, sizeof line);
	const uint64_t total = total_of(view);

	if (drawn > 0)
		frame.used = (size_t)sprintf(buffer, "\r\033[%uA", drawn);
	rota__pool_view_summary(view, &text);
	add_line(&frame, line);
	if (total > 0 && view->lines > 3) {
		text = rota__text_begin(line, sizeof line);
		add_bar(&text, view->columns > 40 ? bar_width(view->columns) * 2 : BAR_LEAST,
			view->load.ended, total);
		add_line(&frame, line);
	}
	add_rows(&frame);
	memcpy(buffer + frame.used, end, sizeof end);
	*ret_drawn = frame.lines;
	return frame.used + sizeof end;
}
