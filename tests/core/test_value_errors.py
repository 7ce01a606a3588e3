"""What a value should be is said in plain words, for every field of every request, and never in pydantic's."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from limner.core.execution import body_model
from limner.core.feedback import ImageQuery, Rating
from limner.core.kinds import KINDS
from limner.core.value_errors import describe_value_error
from limner.server.marketing import MarketingRequest
from limner.server.settings import Settings

MODELS = [*map(body_model, KINDS), ImageQuery, Rating, Settings, MarketingRequest]
BAD = ["x", "", -1, -1e9, 1e12, 1.5, float("nan"), float("inf"), None, [], {}, True, "a" * 10**6, [[]] * 2000, [{}]]
LIBRARY = re.compile(r"[Ii]nput should|should have at|after validation|unable to|valid (integer|number|string|bool)")


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (Annotated[int, Field(ge=1)], 0, "use 1 or more"),
        (Annotated[float, Field(gt=0)], 0, "use more than 0.0"),
        (Annotated[int, Field(le=10)], 11, "use 10 or less"),
        (Annotated[float, Field(lt=1)], 1, "use less than 1.0"),
        (Annotated[int, Field(multiple_of=8)], 9, "use a multiple of 8"),
        (Annotated[float, Field(allow_inf_nan=False)], float("nan"), "use a finite number"),
        (int, "x", "use a whole number"),
        (int, 1.5, "use a whole number"),
        (int, [], "use a whole number"),
        (float, "x", "use a number"),
        (bool, "maybe", "use true or false"),
        (str, 3, "use text"),
        (list[int], 3, "use a list"),
        (tuple[int, ...], 3, "use a list"),
        (dict[str, int], 3, "use an object"),
        (Rating, 3, "use an object"),
        (date, "soon", "use a date, such as 2026-01-31"),
        (datetime, "soon", "use a date and time, such as 2026-01-31T18:30:00"),
        (Literal["a", "b"], "c", "choose one of: a, b"),
        (Literal[1, 2], 3, "choose one of: 1 or 2"),
        (Annotated[str, Field(min_length=1)], "", "use at least 1 character"),
        (Annotated[str, Field(max_length=2000)], "x" * 2001, "use at most 2,000 characters"),
        (Annotated[list[int], Field(min_length=2)], [1], "give at least 2 items"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "give at most 1 item"),
    ],
)
def test_each_kind_of_error_has_its_words(form: Any, value: Any, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(form).validate_python(value)
    assert describe_value_error(caught.value.errors()[0]) == text


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_field_of_a_request_is_refused_in_the_words_of_the_library(model: Any) -> None:
    said = set[str]()
    for name in model.model_fields:
        for value in BAD:
            for form in (value, json.dumps(value)):
                try:
                    model.model_validate({name: form})
                except ValidationError as error:
                    said |= {describe_value_error(item) for item in error.errors()}
    assert len(said) > 3
    assert [text for text in said if LIBRARY.search(text) or text.startswith("Value error")] == []
