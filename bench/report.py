# SPDX-License-Identifier: MIT
"""Turns rounds into medians, ratios and verdicts, and writes them as a table and as JSON.

A ratio is the median of the rounds' ratios: the two servers of one round ran within seconds of
each other, so a machine that is slower for a minute is slower for both.
"""

import json
import os
from statistics import median


def quartiles(values):
    """Returns the values that a quarter lies below and above; of few values, the outermost."""
    ordered = sorted(values)
    cut = len(ordered) // 4
    return ordered[cut], ordered[-1 - cut]


def number(value, form):
    return '-' if value is None else format(value, form)


class Judged:
    """A figure, what Rota has there, and what the peer without any library has."""

    def __init__(self, row, figure, value, floor):
        self.row = row
        self.figure = figure
        self.value = value
        self.floor = floor
        self.met = None if value is None else figure.is_met(value)

    def text(self):
        form = '.1f' if self.figure.limit > 10 else '.3f'
        mark = {True: 'met', False: 'MISSED', None: 'not measured'}[self.met]
        told = '' if self.value is None else f', has {self.value:{form}}'
        floor = '' if self.floor is None else f' (epoll without a library: {self.floor:{form}})'
        return f'{mark}: {self.figure.text}{told}{floor}'


class Result:
    """All that is known of one row after it was measured."""

    def __init__(self, name, row, settings, rounds, facts):
        self.name = name
        self.row = row
        self.settings = settings
        self.rounds = rounds
        self.facts = facts
        self.servers = list(rounds[0])
        self.form = row.form
        self.figures = [self.judge(figure) for figure in row.figures]

    def values(self, server, key=None):
        return [found[server][key or self.row.key] for found in self.rounds]

    def ratio(self, server, peer, key=None):
        if server not in self.servers or peer not in self.servers:
            return None
        pairs = zip(self.values(server, key), self.values(peer, key))
        return median(mine / its for mine, its in pairs if its > 0)

    def compare(self, server, figure):
        """Returns what a figure is about, for any server; None if that was not measured."""
        if server not in self.servers:
            return None
        if figure.kind in ('value', 'reached'):
            return median(self.values(server, figure.key))
        if figure.kind in ('ratio', 'below', 'least'):
            ratios = [self.ratio(server, peer, figure.key) for peer in figure.peers]
            worst = min if figure.kind == 'least' else max
            return None if None in ratios else worst(ratios)
        if any(peer not in self.servers for peer in figure.peers):
            return None
        return max(median(self.values(server, figure.key)) - median(self.values(peer, figure.key))
                   for peer in figure.peers)

    def judge(self, figure):
        floor = self.compare('epoll', figure) if figure.kind == 'ratio' else None
        return Judged(self.name, figure, self.compare(figure.server, figure), floor)

    def header(self):
        return (['server', self.row.unit, 'quartiles', *(f'/ {peer}' for peer in self.row.ratios),
                 *(column.title for column in self.row.columns)])

    def line(self, server):
        low, high = quartiles(self.values(server))
        cells = [server, number(median(self.values(server)), self.form),
                 f'{low:{self.form}}..{high:{self.form}}']
        cells += [number(self.ratio(server, peer), '.3f') for peer in self.row.ratios]
        cells += [number(median(self.values(server, column.key)), column.form)
                  for column in self.row.columns]
        return cells

    def table(self):
        """Returns a table that is Markdown and can be read as it is."""
        lines = [self.header(), *(self.line(server) for server in self.servers)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        text = []
        for line in lines:
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            text.append('| ' + ' | '.join(cells) + ' |')
        rule = ['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])]
        text.insert(1, '| ' + ' | '.join(rule) + ' |')
        return '\n'.join(text)

    def text(self):
        return '\n'.join([self.table(), *(figure.text() for figure in self.figures)])

    def markdown(self):
        rounds = f'{len(self.rounds)} round' + ('' if len(self.rounds) == 1 else 's')
        facts = dict(self.facts)
        facts['packages'] = ', '.join(f'{name} {v}' for name, v in facts['packages'].items())
        return '\n'.join([
            f'# {self.name}: {self.row.title}', '',
            f'Medians of {rounds}; made by `{facts["command"]}`, read with bench/README.md.', '',
            self.table(), '',
            *(f'- {figure.text()}' for figure in self.figures), '',
            *(f'- {key.replace("_", " ")}: {value}' for key, value in facts.items()), ''])

    def data(self):
        return {
            'row': self.name,
            'title': self.row.title,
            'unit': self.row.unit,
            **self.facts,
            'rounds': len(self.rounds),
            'seconds': self.settings.seconds,
            'servers': {server: {
                'median': median(self.values(server)),
                'quartiles': quartiles(self.values(server)),
                'ratios': {peer: self.ratio(server, peer) for peer in self.row.ratios},
            } for server in self.servers},
            'figures': [{'text': judged.figure.text, 'limit': judged.figure.limit,
                         'value': judged.value, 'met': judged.met} for judged in self.figures],
            'measured': self.rounds,
        }

    def write(self, folder):
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, self.name)
        with open(path + '.json', 'w', encoding='utf-8') as out:
            json.dump(self.data(), out, indent=1)
            out.write('\n')
        with open(path + '.md', 'w', encoding='utf-8') as out:
            out.write(self.markdown())


def verdict(figures, quick):
    """Returns all figures in a few lines, for the end of the output."""
    lines = [f'{judged.row}: {judged.text()}' for judged in figures]
    if quick:
        lines.append('A quick run shows that everything runs. Its numbers mean little.')
    return '\n'.join(lines)
