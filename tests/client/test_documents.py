"""The documents that the client returns have the fields of the server's models."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from brokenreg.client import documents
from brokenreg.control import breakpoints, exchanges, holding, repositories, rules
from brokenreg.rules.expectations import ReplicaVerdict
from brokenreg.runtime.status import FleetStatus


@pytest.mark.parametrize(
    ("document", "model"),
    [
        (documents.Status, FleetStatus),
        (documents.Rule, rules.RuleState),
        (documents.Exchange, exchanges.ExchangeSummary),
        (documents.ExchangeDetail, exchanges.ExchangeDetail),
        (documents.TimelinePoint, exchanges.TimelinePoint),
        (documents.RuleExplanation, exchanges.RuleExplanation),
        (documents.Verdict, ReplicaVerdict),
        (documents.Breakpoint, breakpoints.BreakpointState),
        (documents.Breakpoints, breakpoints.BreakpointStates),
        (documents.Outcome, holding.OrderOutcome),
        (documents.Repository, repositories.RepositorySummary),
    ],
)
def test_fields(document: Any, model: type[BaseModel]) -> None:
    assert document.__required_keys__ | document.__optional_keys__ == set(model.model_fields)
