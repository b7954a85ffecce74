"""The conversation as a graph: nodes and edges and nothing else.

await_user -> read -> screen -> intake -> route -> run_tool | gate | draft | answer -> route
                                          route -> compose -> check -> render -> await_user
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent import nodes
from agent.nodes import GATED, TOOLS, Desk
from agent.state import State

Step = Callable[[Desk, State], Awaitable[Any]]

STEPS: dict[str, Step] = {
    "await_user": nodes.await_user,
    "read": nodes.read,
    "screen": nodes.screen_message,
    "intake": nodes.take_facts,
    "route": nodes.route,
    "run_tool": nodes.run_tool,
    "gate": nodes.gate,
    "draft": nodes.draft,
    "answer": nodes.answer,
    "compose": nodes.compose,
    "check": nodes.check,
    "render": nodes.show,
}


def build(
    desk: Desk, saver: BaseCheckpointSaver[str], steps: Mapping[str, Step] = STEPS
) -> CompiledStateGraph[State, None, State, State]:
    """The compiled conversation for one desk."""
    graph = StateGraph(State)
    for name, step in steps.items():
        graph.add_node(name, partial(step, desk))
    graph.add_edge(START, "await_user")
    graph.add_edge("await_user", "read")
    graph.add_edge("read", "screen")
    graph.add_edge("screen", "intake")
    graph.add_edge("intake", "route")
    graph.add_conditional_edges("route", after_route, ["run_tool", "gate", "draft", "answer", "compose"])
    for branch in ("run_tool", "gate", "draft", "answer"):
        graph.add_edge(branch, "route")
    graph.add_edge("compose", "check")
    graph.add_conditional_edges("check", after_check, ["compose", "render"])
    graph.add_edge("render", "await_user")
    return graph.compile(checkpointer=saver)


def after_route(state: State) -> str:
    """Which step the next command needs; with none left, the turn is composed."""
    if not state["commands"]:
        return "compose"
    command = state["commands"][0]
    if command["request"] in GATED:
        return "draft" if command.get("cleared") else "gate"
    return "run_tool" if command["request"] in TOOLS else "answer"


def after_check(state: State) -> str:
    """Redraft while the guard objects and there is still a draft to mend."""
    return "compose" if state["objections"] and state["comment"] else "render"
