"""Votes of people who compared blind -> a ranking of the contestants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from limner.core.errors import LimnerError
from limner.core.requests import Frozen
from limner.core.small_json import read_small_json
from limner.core.votes import Votes, VotesKey
from limner.store.files import atomic_file

KEY, RESULT = "votes-key.json", "ranking.json"
FEWEST = 6
"""Votes below which nothing is claimed."""


class Rank(Frozen):
    """How one contestant came off. elo: of mean 1000, with its 95% interval."""

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
    left: float = Field(description="share of the votes that went to the left, ties counting half")
    prior: float = Field(description="ties that each contestant is taken to have had with the others beforehand")


def rank(ballots: Sequence[Path], folder: Path) -> Ranking:
    """Rank the contestants of the comparison in a folder by votes, and keep that beside it as ranking.json."""
    key = read_small_json(
        folder / KEY, VotesKey, "the key of a blind page", "name the folder that `limner compare` made"
    )
    found = [_ballot(path, key) for path in ballots]
    _check_once(ballots, found)
    ranking = ranked(key, found)
    with atomic_file(folder / RESULT) as partial:
        partial.write_text(json.dumps(ranking.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    return ranking


def ranked(key: VotesKey, ballots: Sequence[Votes]) -> Ranking:
    """Ratings by Bradley and Terry's model, ties counting half, with bootstrap intervals."""
    from limner.stats.bradley_terry import PRIOR, bootstrapped, strengths, tally

    votes = [(key.pairs[name], choice) for ballot in ballots for name, choice in ballot.votes.items()]
    if not votes:
        raise LimnerError("there are no votes in the files", "vote on blind.html, and save")
    count = len(key.contestants)
    first, second = (np.array([getattr(pair, side) for pair, _ in votes]) for side in ("left", "right"))
    score = np.array([{"left": 1.0, "tie": 0.5, "right": 0.0}[choice] for _, choice in votes])
    elo = strengths(tally(first, second, score, count))
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
    leads = drawn[:, order[0]] - drawn[:, order[1]]
    least, most = np.quantile(leads, (0.025, 0.975))
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
    if lead[1] <= 0 or votes < FEWEST:
        return f"No difference shown between {first.contestant} and {second.contestant}: {figures}."
    return f"People prefer {first.contestant} to {second.contestant}: {figures}."


def _ballot(path: Path, key: VotesKey) -> Votes:
    votes = read_small_json(path, Votes, "a file of votes", "save it anew from blind.html")
    if votes.comparison != key.comparison:
        raise LimnerError(f"{str(path)!r} holds votes on another comparison", "name the folder of that by --comparison")
    for name in votes.votes:
        if name not in key.pairs:
            raise LimnerError(f"{str(path)!r} votes on {name!r}, which the blind page does not show", "save it anew")
    return votes


def _check_once(paths: Sequence[Path], ballots: Sequence[Votes]) -> None:
    """No two files of one person, whose votes would count twice."""
    seen: dict[str, Path] = {}
    for path, votes in zip(paths, ballots, strict=True):
        if votes.ballot in seen:
            raise LimnerError(
                f"{str(seen[votes.ballot])!r} and {str(path)!r} are of one person", "name the newer alone"
            )
        seen[votes.ballot] = path
