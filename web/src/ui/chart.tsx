// A curve over time, drawn by uPlot on a canvas.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { t } from "../i18n";
import { language, theme } from "../lib/preferences";
import { axisTime, dateTime } from "../lib/format";

export interface Series {
  readonly label: string;
  // The name of a custom property of the style sheet.
  readonly color: string;
  readonly values: readonly (number | null)[];
}

interface Props {
  readonly title: string;
  // Seconds since the Unix epoch.
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
  // The top of the scale when the values are smaller.
  readonly least: number;
  readonly height?: number;
  // Charts with the same name show the moment under the pointer together.
  readonly together?: string;
}

// The shortest axis of time, in seconds: few points stand at its end.
const LEAST_SPAN_S = 600;

// The ends of the axis of time.
function timeRange(times: readonly number[]): readonly [from: number, to: number] {
  const to = times.at(-1) ?? 0;
  return [Math.min(times[0] ?? to, to - LEAST_SPAN_S), to];
}

// What a screen reader says of the curve: its newest values.
function summary({ title, series, format }: Props): string {
  const newest = series.map(({ label, values }) => {
    const value = values.findLast((one) => one !== null);
    return `${label}: ${value === null || value === undefined ? t().common.unknown : format(value)}`;
  });
  return `${title}. ${newest.join(", ")}`;
}

function options(element: HTMLElement, { series, format, least, together, height = 180 }: Props, ends: () => readonly [from: number, to: number]): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  return {
    width: Math.max(200, element.clientWidth),
    height,
    cursor: { y: false, ...(together === undefined ? {} : { sync: { key: together } }) },
    legend: { live: true },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => axisTime(tick * 1000, ends()[1] - ends()[0])), space: 80, size: 32 },
      { ...axis, values: (_, ticks) => ticks.map(format), size: 76 },
    ],
    scales: { x: { range: () => [...ends()] as [number, number] }, y: { range: (_, __, most) => [0, Math.max(most * 1.1, least)] } },
    series: [
      { label: t().common.time, value: (_, at) => (at === null ? "" : dateTime(at * 1000)) },
      ...series.map((one) => ({
        label: one.label,
        stroke: color(one.color),
        ...(series.length > 2 ? {} : { fill: `${color(one.color)}22` }),
        width: 1.5,
        // A line of few points would hardly be seen.
        points: { show: (plot: uPlot) => plot.data[0].length < 10 },
        value: (_: uPlot, value: number | null) => (value === null ? "" : format(value)),
      })),
    ],
  };
}

export function Chart(props: Props) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = [[...props.times], ...props.series.map((one) => [...one.values])] as uPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;
  const times = useRef(props.times);
  times.current = props.times;
  const shape = props.series.map((one) => one.label).join("|");

  useEffect(() => {
    const host = element.current;
    if (host === null) return;
    const made = new uPlot(options(host, props, () => timeRange(times.current)), latest.current, host);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: Math.max(200, host.clientWidth), height: props.height ?? 180 }));
    observer.observe(host);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
    // Colours and numbers are drawn, so that another theme or language draws the plot anew.
  }, [shape, theme.value, language.value]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [props.times, props.series]);

  return <div ref={element} class="chart" role="img" aria-label={summary(props)} dir="ltr" />;
}
