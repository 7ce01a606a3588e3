"""Ranks the contestants of a comparison by the votes of people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from limner.core.errors import LimnerError
from limner.core.requests import Frozen
from limner.core.small_json import read_small_json
from limner.core.votes import Votes, VotesKey

KEY, RESULT = "votes-key.json", "ranking.json"
MIN_VOTES = 6
"""Votes below which no difference is claimed."""


class Rank(Frozen):
    """The result of one contestant. elo: its rating, of mean 1000, with its 95% interval."""

    contestant: str
    elo: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int

    @property
    def preferred(self) -> float:
        """The share of its votes that it won, ties counting half."""
        return (self.wins + self.ties / 2) / max(1, self.wins + self.ties + self.losses)


class Ranking(Frozen):
    """The contestants, best first. lead: Elo of the first above the second, with its interval."""

    comparison: str
    verdict: str
    ranks: tuple[Rank, ...]
    lead: tuple[float, float, float] = Field(description="value, low, high")
    votes: int
    ballots: int
    left: float = Field(description="share of the votes for the left side, ties counting half")
    prior: float = Field(description="ties that each contestant is assumed to have had with the others beforehand")


def rank(ballots: Sequence[Path], folder: Path) -> Ranking:
    """Rank the contestants of the comparison in a folder by files of votes, and write ranking.json there."""
    from limner.reports.writer import write_json

    key = read_small_json(
        folder / KEY, VotesKey, "the key of a blind page", "give the folder that `limner compare` wrote"
    )
    found = [_read_ballot(path, key) for path in ballots]
    _check_one_each(ballots, found)
    ranking = rank_by_votes(key, found)
    write_json(folder / RESULT, ranking.model_dump(mode="json"))
    return ranking


def rank_by_votes(key: VotesKey, ballots: Sequence[Votes]) -> Ranking:
    """Bradley-Terry ratings with bootstrap intervals; a tie counts half for both."""
    from limner.stats.bradley_terry import PRIOR, bootstrapped, strengths, win_counts

    votes = [(key.pairs[name], choice) for ballot in ballots for name, choice in ballot.votes.items()]
    if not votes:
        raise LimnerError("the files contain no votes", "vote on blind.html and save")
    count = len(key.contestants)
    first, second = (np.array([getattr(pair, side) for pair, _ in votes]) for side in ("left", "right"))
    score = np.array([{"left": 1.0, "tie": 0.5, "right": 0.0}[choice] for _, choice in votes])
    elo = strengths(win_counts(first, second, score, count))
    drawn = bootstrapped(first, second, score, count)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    order = np.argsort(-elo, kind="stable")
    ranks = tuple(
        Rank(
            contestant=key.contestants[i],
            elo=float(elo[i]),
            low=float(low[i]),
            high=float(high[i]),
            wins=int(((first == i) & (score == 1) | (second == i) & (score == 0)).sum()),
            ties=int((((first == i) | (second == i)) & (score == 0.5)).sum()),
            losses=int(((first == i) & (score == 0) | (second == i) & (score == 1)).sum()),
        )
        for i in order
    )
    least, most = np.quantile(drawn[:, order[0]] - drawn[:, order[1]], (0.025, 0.975))
    lead = float(elo[order[0]] - elo[order[1]]), float(least), float(most)
    return Ranking(
        comparison=key.comparison,
        verdict=_verdict(ranks, lead, len(votes)),
        ranks=ranks,
        lead=lead,
        votes=len(votes),
        ballots=len(ballots),
        left=float(score.mean()),
        prior=PRIOR,
    )


def _verdict(ranks: Sequence[Rank], lead: tuple[float, float, float], votes: int) -> str:
    first, second = ranks[0], ranks[1]
    figures = f"{lead[0]:.0f} Elo [{lead[1]:.0f}, {lead[2]:.0f}] over {votes} votes"
    if lead[1] <= 0 or votes < MIN_VOTES:
        return f"No clear difference between {first.contestant} and {second.contestant}: {figures}."
    return f"People prefer {first.contestant} to {second.contestant}: {figures}."


def _read_ballot(path: Path, key: VotesKey) -> Votes:
    votes = read_small_json(path, Votes, "a file of votes", "save it again from blind.html")
    if votes.comparison != key.comparison:
        raise LimnerError(f"{str(path)!r} contains votes on another comparison", "give its folder with --comparison")
    for name in votes.votes:
        if name not in key.pairs:
            raise LimnerError(
                f"{str(path)!r} votes on {name!r}, which is not on the blind page", "save it again from blind.html"
            )
    return votes


def _check_one_each(paths: Sequence[Path], ballots: Sequence[Votes]) -> None:
    """Raise LimnerError for two files of one person, whose votes would count twice."""
    seen: dict[str, Path] = {}
    for path, votes in zip(paths, ballots, strict=True):
        if votes.ballot in seen:
            raise LimnerError(
                f"{str(seen[votes.ballot])!r} and {str(path)!r} are from the same person", "give only the newer one"
            )
        seen[votes.ballot] = path
