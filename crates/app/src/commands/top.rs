//! `hezar top`: the running instance at a glance, once a second, until `q`.

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use anyhow::bail;
use hezar_api::StatusDto;
use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Row, Sparkline, Table, Wrap},
};
use tokio::{task::spawn_blocking, time::Instant};

use crate::{output, remote::Remote};

/// The pause between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Lines that the reason why nothing is served may take.
const MAX_REASON_LINES: u16 = 4;
/// The title of the table of sources, with what its columns mean. It fits 80 columns.
const SOURCES_TITLE: &str = "sources; own: exits of no other source; half-life: until half of them died";
/// Looks that the little chart remembers.
const REMEMBERED: usize = 300;

pub(super) async fn top(remote: Remote) -> anyhow::Result<ExitCode> {
    if !std::io::stdout().is_terminal() {
        bail!("`hezar top` draws on a terminal; `hezar status --json` is for programs");
    }
    let first = remote.get("/api/v1/status").await?;
    let mut terminal = ratatui::try_init()?;
    let ended = watch(&mut terminal, &remote, TopState::new(first)).await;
    ratatui::restore();
    ended.map(|()| ExitCode::SUCCESS)
}

async fn watch(terminal: &mut DefaultTerminal, remote: &Remote, mut state: TopState) -> anyhow::Result<()> {
    let mut looked = Instant::now();
    loop {
        terminal.draw(|frame| draw(frame, &state))?;
        // Waiting for a key blocks a thread, so it is not one of the runtime's.
        if spawn_blocking(|| asked_to_end(EVERY)).await?? {
            return Ok(());
        }
        if looked.elapsed() >= EVERY {
            let elapsed = looked.elapsed();
            looked = Instant::now();
            match remote.get("/api/v1/status").await {
                Ok(status) => state.next(status, elapsed),
                Err(error) => state.lost = Some(error.to_string()),
            }
        }
    }
}

/// Waits for a key; true when it is one that ends the watching.
fn asked_to_end(limit: Duration) -> std::io::Result<bool> {
    if !event::poll(limit)? {
        return Ok(false);
    }
    let Event::Key(key) = event::read()? else { return Ok(false) };
    let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    Ok(key.kind == KeyEventKind::Press && (interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)))
}

/// What is shown.
struct TopState {
    status: StatusDto,
    /// Per second, over the last look.
    rates: Rates,
    /// Requests per second, the newest in front.
    history: Vec<u64>,
    /// Why the last look failed.
    lost: Option<String>,
}

#[derive(Clone, Copy, Default)]
struct Rates {
    ok: f64,
    failed: f64,
    up: f64,
    down: f64,
}

impl TopState {
    const fn new(status: StatusDto) -> Self {
        Self { status, rates: Rates { ok: 0.0, failed: 0.0, up: 0.0, down: 0.0 }, history: Vec::new(), lost: None }
    }

    fn next(&mut self, status: StatusDto, elapsed: Duration) {
        let (old, new) = (self.status.traffic, status.traffic);
        // A restarted instance counts from zero again.
        let rate = |old: u64, new: u64| new.saturating_sub(old) as f64 / elapsed.as_secs_f64().max(0.001);
        self.rates = Rates {
            ok: rate(old.ok, new.ok),
            failed: rate(old.failed, new.failed),
            up: rate(old.up, new.up),
            down: rate(old.down, new.down),
        };
        self.history.insert(0, (self.rates.ok + self.rates.failed).round() as u64);
        self.history.truncate(REMEMBERED);
        (self.status, self.lost) = (status, None);
    }
}

fn draw(frame: &mut Frame<'_>, state: &TopState) {
    let reason = state.status.reason.as_ref().map(|reason| format!("no request can be served: {reason}"));
    let reason = reason.unwrap_or_default();
    let rows = [1, reason_lines(&reason, frame.area().width), 5].map(Constraint::Length).into_iter();
    let rows = rows.chain([Constraint::Min(6), Constraint::Length(10)]);
    let [head, why, middle, sources, troubles] = Layout::vertical(rows).areas(frame.area());
    let [pool, traffic] = Layout::horizontal([Constraint::Length(44), Constraint::Min(30)]).areas(middle);
    let status = &state.status;
    let title = format!("hezar {}  {}  up {}", status.version, status.proxy, output::span(status.uptime_s));
    let lost = state.lost.as_ref().map_or_else(|| "q quits".dark_gray(), |lost| lost.as_str().red());
    frame.render_widget(Line::from(vec![title.bold(), Span::raw("  "), lost]), head);
    frame.render_widget(Paragraph::new(reason.red()).wrap(Wrap { trim: true }), why);
    draw_pool(frame, pool, status);
    draw_traffic(frame, traffic, state);
    draw_sources(frame, sources, status);
    draw_troubles(frame, troubles, status);
}

/// How many lines a text takes when it is wrapped at words, which leaves some columns of each line empty.
fn reason_lines(reason: &str, columns: u16) -> u16 {
    let columns = usize::from(columns.saturating_sub(10).max(10));
    u16::try_from(reason.chars().count().div_ceil(columns)).unwrap_or(u16::MAX).min(MAX_REASON_LINES)
}

fn draw_pool(frame: &mut Frame<'_>, area: Rect, status: &StatusDto) {
    let nodes = status.nodes;
    let lines = vec![
        Line::from(vec![
            format!("{} healthy", nodes.healthy).green(),
            format!("  {} suspect", nodes.suspect).yellow(),
            format!("  {} dead", nodes.dead).red(),
        ]),
        Line::from(format!("{} new  {} unsupported  {} quarantined", nodes.new, nodes.unsupported, nodes.quarantined)),
        Line::from(output::count(status.exits, "exit")),
    ];
    frame.render_widget(Paragraph::new(lines).block(block("pool")), area);
}

fn draw_traffic(frame: &mut Frame<'_>, area: Rect, state: &TopState) {
    let (rates, traffic) = (state.rates, state.status.traffic);
    let frame_of = block("traffic");
    let inner = frame_of.inner(area);
    frame.render_widget(frame_of, area);
    let [text, chart] = Layout::horizontal([Constraint::Length(40), Constraint::Min(5)]).areas(inner);
    let lines = vec![
        Line::from(format!("{:.0} ok/s  {:.0} failed/s  {} refused", rates.ok, rates.failed, traffic.refused)),
        Line::from(format!("up {}/s  down {}/s", bytes(rates.up), bytes(rates.down))),
        Line::from(format!("{} tunnels  {} connections", traffic.tunnels, traffic.connections)),
    ];
    frame.render_widget(Paragraph::new(lines), text);
    let newest: Vec<u64> = state.history.iter().take(usize::from(chart.width)).rev().copied().collect();
    frame.render_widget(Sparkline::default().data(&newest).style(Style::default().fg(Color::Cyan)), chart);
}

fn draw_sources(frame: &mut Frame<'_>, area: Rect, status: &StatusDto) {
    let header = Row::new(["source", "nodes", "healthy", "exits", "own", "half-life", "state"]).bold();
    let rows = status.sources.iter().map(|source| {
        let state = match &source.error {
            Some(code) => code.clone(),
            None if source.quarantined => "nothing works".to_owned(),
            None => String::new(),
        };
        Row::new([
            source.name.clone(),
            source.nodes.to_string(),
            source.healthy.to_string(),
            source.exits.to_string(),
            source.unique_exits.to_string(),
            source.half_life_s.map(output::span).unwrap_or_default(),
            state,
        ])
    });
    let widths = [Constraint::Fill(2), Constraint::Length(7), Constraint::Length(7), Constraint::Length(6)];
    let widths = widths.into_iter().chain([Constraint::Length(6), Constraint::Length(9), Constraint::Fill(1)]);
    frame.render_widget(Table::new(rows, widths).header(header).block(block(SOURCES_TITLE)), area);
}

fn draw_troubles(frame: &mut Frame<'_>, area: Rect, status: &StatusDto) {
    let now = output::now_ms();
    let rows = status.troubles.iter().map(|trouble| {
        Row::new([
            output::ago(now, Some(trouble.at)),
            trouble.code.clone(),
            trouble.inbound.clone(),
            trouble.user.clone(),
            trouble.target.clone().unwrap_or_default(),
        ])
    });
    let widths = [Constraint::Length(7), Constraint::Length(20), Constraint::Length(8), Constraint::Length(16)];
    let widths = widths.into_iter().chain([Constraint::Fill(1)]);
    frame.render_widget(
        Table::new(rows, widths).block(block("last errors: when, code, inbound, user, destination")),
        area,
    );
}

fn block(title: &'static str) -> Block<'static> {
    Block::default().borders(Borders::ALL).border_style(Style::default().fg(Color::DarkGray)).title(title)
}

/// A number of bytes in one unit.
fn bytes(number: f64) -> String {
    let (mut number, mut unit) = (number, 0);
    while number >= 1024.0 && unit < 4 {
        (number, unit) = (number / 1024.0, unit + 1);
    }
    let name = ["B", "KiB", "MiB", "GiB", "TiB"].get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{number:.0} {name}") } else { format!("{number:.1} {name}") }
}

#[cfg(test)]
mod tests {
    use hezar_api::{SourceDto, StateCounts, TrafficDto, TroubleDto};
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    fn status(ok: u64) -> StatusDto {
        StatusDto {
            listeners: Vec::new(),
            certificates: Vec::new(),
            alerts: Vec::new(),
            version: "1.2.3".into(),
            uptime_s: 7200,
            proxy: "127.0.0.1:8000".into(),
            reason: None,
            nodes: StateCounts { healthy: 120, dead: 7, quarantined: 2, ..StateCounts::default() },
            exits: 88,
            schemes: Default::default(),
            sources: vec![SourceDto {
                name: "my-list".into(),
                kind: "url".into(),
                nodes: 129,
                healthy: 120,
                exits: 88,
                unique_exits: 41,
                half_life_s: Some(2700),
                quarantined: false,
                rejected: 0,
                subscription: None,
                left_out: 0,
                last_ok: None,
                error: Some("fetch-status".into()),
                error_text: None,
                next: None,
            }],
            traffic: TrafficDto { ok, down: ok * 1024, tunnels: 3, ..TrafficDto::default() },
            troubles: vec![TroubleDto {
                at: 1,
                inbound: "socks5".into(),
                user: "alice".into(),
                target: Some("shop.example:443".into()),
                node: None,
                code: "all-attempts-failed".into(),
            }],
            config: Default::default(),
            store: Default::default(),
            engine: None,
            draining: Vec::new(),
        }
    }

    fn screen(width: u16, height: u16, state: &TopState) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let rows = buffer.content.chunks(usize::from(width));
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
    }

    #[test]
    fn everything_is_on_the_screen() {
        let mut state = TopState::new(status(100));
        state.next(status(350), Duration::from_secs(2));
        let shown = screen(120, 30, &state);
        for text in [
            "hezar 1.2.3",
            "127.0.0.1:8000",
            "up 2 h",
            "120 healthy",
            "7 dead",
            "2 quarantined",
            "88 exits",
            "125 ok/s",
            "down 125.0 KiB/s",
            "3 tunnels",
            "my-list",
            "129",
            "41",
            "45 min",
            "fetch-status",
            "all-attempts-failed",
            "alice",
            "shop.example:443",
        ] {
            assert!(shown.contains(text), "{text:?} is missing:\n{shown}");
        }
        state.lost = Some("no instance answers".into());
        assert!(screen(120, 30, &state).contains("no instance answers"));
        state.next(status(0), Duration::from_secs(1));
        assert!(screen(120, 30, &state).contains(" 0 ok/s") || screen(120, 30, &state).contains("0 ok/s"), "a restart");
    }

    #[test]
    fn the_reason_why_nothing_is_served_is_on_the_screen() {
        let reason =
            "none of the 6 sources can be read (the last failure: dns); next try in 24 s; links can be added by hand";
        let state = TopState::new(StatusDto { reason: Some(reason.into()), ..status(1) });
        let shown = screen(80, 24, &state);
        assert!(
            shown.contains("no request can be served: none of the 6 sources") && shown.contains("by hand"),
            "{shown}"
        );
        assert!(!screen(80, 24, &TopState::new(status(1))).contains("no request can be served"));
    }

    #[test]
    fn small_terminals_do_not_panic() {
        let state = TopState::new(status(1));
        for (width, height) in [(1, 1), (10, 3), (40, 8), (300, 100)] {
            screen(width, height, &state);
        }
    }
}
