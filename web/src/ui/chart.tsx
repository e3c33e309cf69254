// A curve over time, drawn by uPlot on a canvas.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { t } from "../i18n";
import { language, theme } from "../lib/preferences";
import { time } from "../lib/format";

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
}

function options(element: HTMLElement, { series, format, least, height = 180 }: Props): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  return {
    width: Math.max(200, element.clientWidth),
    height,
    cursor: { y: false },
    legend: { live: true },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => time(tick * 1000)), space: 90 },
      { ...axis, values: (_, ticks) => ticks.map(format), size: 76 },
    ],
    scales: { y: { range: (_, __, most) => [0, Math.max(most * 1.1, least)] } },
    series: [
      { label: t().common.time, value: (_, at) => (at === null ? "" : time(at * 1000)) },
      ...series.map((one) => ({
        label: one.label,
        stroke: color(one.color),
        fill: `${color(one.color)}22`,
        width: 1.5,
        points: { show: false },
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
  const shape = props.series.map((one) => one.label).join("|");

  useEffect(() => {
    const host = element.current;
    if (host === null) return;
    const made = new uPlot(options(host, props), latest.current, host);
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
  }, [data]);

  return <div ref={element} class="chart" role="img" aria-label={props.title} dir="ltr" />;
}
