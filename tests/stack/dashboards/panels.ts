// The shape of a dashboard's file, by Grafana's own types: of the dashboard, and of each kind of panel that is used.

import type { Dashboard, FieldConfigSource, Panel } from '@grafana/schema';
import type * as candlestick from '@grafana/schema/dist/esm/raw/composable/candlestick/panelcfg/x/CandlestickPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as series from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON holds an enum's text, which TypeScript does not take for the enum.
type Json<T> = T extends string
  ? `${T}`
  : T extends (infer U)[]
    ? Json<U>[]
    : T extends object
      ? { [K in keyof T]: Json<T[K]> }
      : T;

type Source<T extends string> = { type: T; uid: T };

type Influx = { refId: string; datasource: Source<'influxdb'>; query: string; rawQuery: true; alias?: string;
  resultFormat: 'time_series' | 'table' };
type Prometheus = { refId: string; datasource: Source<'prometheus'>; expr: string; range: boolean; instant: boolean;
  editorMode: 'code'; legendFormat?: string; format?: 'table' };

type Fields<Custom> = Omit<FieldConfigSource, 'defaults'> & {
  defaults: Omit<FieldConfigSource['defaults'], 'custom'> & { custom?: Custom };
};

type PanelOf<Type extends string, Options, Custom> = Omit<
  Panel, 'type' | 'title' | 'datasource' | 'targets' | 'options' | 'fieldConfig' | 'gridPos' | 'id'
> & {
  id: number;
  type: Type;
  title: string;
  description: string;
  gridPos: NonNullable<Panel['gridPos']>;
  options: Options;
  fieldConfig: Fields<Custom>;
} & (
    | { datasource: Source<'influxdb'>; targets: Influx[] }
    | { datasource: Source<'prometheus'>; targets: Prometheus[] }
  );

type Row = {
  id: number;
  type: 'row';
  title: string;
  collapsed: boolean;
  panels: [];
  gridPos: NonNullable<Panel['gridPos']>;
};

type AnyPanel =
  | Row
  | PanelOf<'candlestick', candlestick.Options, candlestick.FieldConfig>
  | PanelOf<'timeseries', series.Options, series.FieldConfig>
  | PanelOf<'stat', stat.Options, Record<string, never>>
  | PanelOf<'table', table.Options, table.FieldConfig>
  | PanelOf<'state-timeline', timeline.Options, timeline.FieldConfig>;

export type File = Json<Omit<Dashboard, 'panels' | 'schemaVersion' | 'uid' | 'title'> & {
  uid: string;
  title: string;
  schemaVersion: 42;
  panels: AnyPanel[];
}>;
