"""The chat on a screen: turns on the left, what is known on the right, one field to type in.

Shows events and sends messages; computes nothing. A finished turn is one static widget, and at most forty turns are
mounted, since widgets, not words, are what makes a long session slow. Enter sends, ctrl+j breaks the line.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.text import Text
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Footer, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from agent.driver import Driver
from agent.session import Session, sessions
from tools.errors import StrategistError
from tui.view import Turn, View, panel_lines, reduce

if TYPE_CHECKING:
    from tools.judge.policy import Policy

MOUNTED_TURNS = 40
QUIT = ("/quit", "/exit", "/q")


class Composer(TextArea):
    """Where the user types. Enter sends, ctrl+j and shift+enter break the line."""

    class Sent(Message):
        """The user sent a message."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            if text := self.text.strip():
                self.clear()
                self.post_message(self.Sent(text))
        elif event.key in ("ctrl+j", "shift+enter"):
            event.stop()
            event.prevent_default()
            self.insert("\n")
        else:
            await super()._on_key(event)


class SessionList(ModalScreen[Path | None]):
    """Pick a session to go on with."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders
        super().__init__()

    def compose(self) -> ComposeResult:
        yield OptionList(*(Option(folder.name, id=str(n)) for n, folder in enumerate(self._folders)))

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._folders[int(event.option_id or 0)])


class StrategistApp(App[Path | None]):
    """The chat. Returns the folder of a session to switch to, or None to leave."""

    TITLE = "strategist"
    ENABLE_COMMAND_PALETTE = False
    # below a hundred columns a table with intervals needs the room; ctrl+b brings the panel back
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    CSS = """
    #chat { width: 1fr; padding: 0 1; }
    #panel { width: 34; border-left: solid $primary; padding: 0 1; overflow-y: auto; }
    #composer { height: auto; min-height: 3; max-height: 8; border: solid $primary; }
    .-narrow #panel { display: none; }
    #chat Static { margin-bottom: 1; }
    SessionList { align: center middle; }
    SessionList OptionList { width: 60; height: 20; border: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit"),
        Binding("ctrl+o", "sessions", "Sessions"),
        Binding("ctrl+b", "toggle_panel", "Panel"),
        Binding("pageup", "page(-1)", "Up", show=False, priority=True),
        Binding("pagedown", "page(1)", "Down", show=False, priority=True),
    ]

    def __init__(self, folder: Path, driver: Driver, policy: Policy | None) -> None:
        super().__init__()
        self._folder, self._voice, self._policy = folder, driver, policy
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._session: Session | None = None
        self._run = ""
        self.seen = View()

    @property
    def finished_turns(self) -> int:
        """How many messages were answered to the end."""
        return sum(turn.done for turn in self.seen.turns)

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield VerticalScroll(id="chat")
            yield Static(id="panel", markup=False)
        yield Composer(id="composer")
        yield Footer()

    def on_mount(self) -> None:
        self.sub_title = self._folder.name
        self.query_one(Composer).focus()
        self.set_interval(1.0, self._watch_run)
        self._converse()

    @work(exclusive=True)
    async def _converse(self) -> None:
        """Hold the session open and answer one message after another."""
        try:
            async with Session.open(self._folder, self._voice, self._policy) as session:
                self._session = session
                for event in session.log.events:
                    self.seen = reduce(self.seen, event)
                await self._draw_all()
                while True:
                    await self._answer(session, await self._waiting.get())
        except (StrategistError, OSError) as error:
            await self.query_one("#chat").mount(Static(f"PROBLEM\n{error}", markup=False))

    async def _answer(self, session: Session, text: str) -> None:
        async for event in session.send(text):
            self.seen = reduce(self.seen, event)
            await self._draw_last()

    async def _draw_all(self) -> None:
        chat = self.query_one("#chat")
        if not self.seen.turns:
            await chat.mount(Static(drawn(Turn(0, cards=(("HELLO", HELLO),)))))
        for turn in self.seen.turns[-MOUNTED_TURNS:]:
            await chat.mount(Static(drawn(turn), id=f"turn-{turn.number}"))
        self._draw_panel()
        chat.scroll_end(animate=False)

    async def _draw_last(self) -> None:
        chat, turn = self.query_one("#chat"), self.seen.turns[-1]
        found = chat.query(f"#turn-{turn.number}")
        if found:
            widget = found.first(Static)
            widget.update(drawn(turn))
        else:
            widget = Static(drawn(turn), id=f"turn-{turn.number}")
            await chat.mount(widget)
            await self._unmount_old()
        self._draw_panel()
        # a long answer is read from its beginning
        self.call_after_refresh(chat.scroll_to_widget, widget, top=True, animate=False)

    async def _unmount_old(self) -> None:
        mounted = self.query("#chat Static")
        for old in list(mounted)[: max(0, len(mounted) - MOUNTED_TURNS)]:
            await old.remove()

    def _draw_panel(self) -> None:
        self.query_one("#panel", Static).update("\n".join(panel_lines(self.seen.panel, self._run)))

    def _watch_run(self) -> None:
        """Show how far a run is; when it has ended, ask what came of it."""
        before, self._run = self._run, self._session.run if self._session else ""
        if self._run != before:
            self._draw_panel()
            if before.startswith("RUNNING") and not self._run.startswith("RUNNING"):
                self._waiting.put_nowait("/jobs")

    @on(Composer.Sent)
    def _sent(self, message: Composer.Sent) -> None:
        if message.text in QUIT:
            self.exit(None)
        else:
            self._waiting.put_nowait(message.text)

    def action_toggle_panel(self) -> None:
        """Show or hide the side panel."""
        panel = self.query_one("#panel")
        panel.display = not panel.display

    def action_page(self, direction: int) -> None:
        """Scroll the chat by a page."""
        chat = self.query_one("#chat", VerticalScroll)
        chat.scroll_page_up() if direction < 0 else chat.scroll_page_down()

    def action_sessions(self) -> None:
        """Leave for another session."""
        folders = sessions(self._folder.parent.parent)
        self.push_screen(SessionList(folders), lambda folder: self.exit(folder) if folder else None)


HELLO = "Tell me about one model, one task and one budget. `/help` lists the commands, `/attach FILE` takes results."


def drawn(turn: Turn) -> RenderableType:
    """A turn as it is shown: the user's words, then each card led by its word."""
    parts: list[RenderableType] = [Text(f"> {turn.said}", style="bold")] if turn.said else []
    for word, text in turn.cards:
        parts += [Text(f"\n{word}", style="bold reverse"), Markdown(text)]
    if not turn.done and turn.said:
        parts.append(Text("\n...", style="dim"))
    return Group(*parts)


def run_app(folder: Path, driver: Driver, policy: Policy | None) -> int:
    """Open the chat; switching sessions opens it again on the other one."""
    target: Path | None = folder
    while target is not None:
        target = StrategistApp(target, driver, policy).run()
    return 0
