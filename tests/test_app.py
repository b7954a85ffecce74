"""The chat on a screen: one gesture per test, in a real Textual app without a terminal."""

from pathlib import Path

import pytest
from stories import FACTS, SHARP_ON_HARD, write_counts
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from agent.offline import Offline
from tui.app import MOUNTED_TURNS, Composer, SessionList, StrategistApp


def app_on(folder: Path) -> StrategistApp:
    return StrategistApp(folder / "sessions" / "one", Offline(), None)


async def say(pilot: Pilot[Path | None], text: str) -> None:
    """Type a message, send it, and wait for the end of its turn."""
    app = pilot.app
    assert isinstance(app, StrategistApp)
    turns = app.finished_turns
    app.query_one(Composer).insert(text)
    await pilot.press("enter")
    for _ in range(600):
        await pilot.pause(0.02)
        if app.finished_turns > turns:
            return
    pytest.fail(f"no answer to {text!r}")


def shown(app: StrategistApp) -> str:
    """All cards on the screen as text."""
    return "\n".join(f"{word} {text}" for turn in app.seen.turns for word, text in turn.cards)


async def test_enter_sends_and_the_answer_appears(tmp_path: Path) -> None:
    async with app_on(tmp_path).run_test() as pilot:
        await say(pilot, FACTS[0])
        assert "NOTED" in shown(pilot.app)  # type: ignore[arg-type]
        assert pilot.app.query_one(Composer).text == ""


async def test_ctrl_j_breaks_the_line_and_sends_nothing(tmp_path: Path) -> None:
    async with app_on(tmp_path).run_test() as pilot:
        await pilot.press("a", "ctrl+j", "b")
        assert pilot.app.query_one(Composer).text == "a\nb"


async def test_the_panel_names_what_is_missing_and_what_is_in(tmp_path: Path) -> None:
    async with app_on(tmp_path).run_test() as pilot:
        await say(pilot, FACTS[4])
        panel = str(pilot.app.query_one("#panel", Static).content)
        assert "OPEN IN-1" in panel
        assert "gpu_hours" in panel
        assert "team_size" not in panel


async def test_a_results_file_becomes_a_table(tmp_path: Path) -> None:
    counts = write_counts(tmp_path / "counts.jsonl", SHARP_ON_HARD)
    async with app_on(tmp_path).run_test() as pilot:
        await say(pilot, f"/attach {counts}")
        assert "8.9 pp" in shown(pilot.app)  # type: ignore[arg-type]


async def test_a_session_is_there_again_after_closing(tmp_path: Path) -> None:
    async with app_on(tmp_path).run_test() as pilot:
        await say(pilot, "We use Apache-2.0.")
    async with app_on(tmp_path).run_test() as pilot:
        for _ in range(600):
            await pilot.pause(0.02)
            if "Apache-2.0" in shown(pilot.app):  # type: ignore[arg-type]
                return
        pytest.fail("the turn of before did not come back")


async def test_quit_leaves(tmp_path: Path) -> None:
    async with app_on(tmp_path).run_test() as pilot:
        pilot.app.query_one(Composer).insert("/quit")
        await pilot.press("enter")
        await pilot.pause()
        assert pilot.app.return_value is None
        assert not pilot.app.is_running


async def test_the_session_list_offers_other_sessions(tmp_path: Path) -> None:
    async with app_on(tmp_path).run_test() as pilot:
        await say(pilot, "hi")
        await pilot.press("ctrl+o")
        assert isinstance(pilot.app.screen, SessionList)
        assert pilot.app.screen.query_one(OptionList).option_count == 1


@pytest.mark.slow
async def test_a_long_session_mounts_only_the_newest_turns(tmp_path: Path) -> None:
    async with app_on(tmp_path).run_test() as pilot:
        for _ in range(MOUNTED_TURNS + 3):
            await say(pilot, "/help")
        assert len(pilot.app.query("#chat Static")) == MOUNTED_TURNS


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
async def test_every_size_of_terminal_shows_chat_and_composer(size: tuple[int, int], tmp_path: Path) -> None:
    async with app_on(tmp_path).run_test(size=size) as pilot:
        await say(pilot, "hi")
        assert pilot.app.query_one("#chat").size.width > 0
        assert pilot.app.query_one(Composer).size.height > 0
