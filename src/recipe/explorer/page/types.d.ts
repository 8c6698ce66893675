/** The payload that Python writes, and what several modules share. Only `tsc` reads this file. */

// ---- the payload

export type ArrayType = "i1" | "u1" | "i2" | "u2" | "i4" | "u4" | "f4" | "f8";
export type Numbers =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/** A typed array: little-endian bytes in base64. */
export interface Packed {
  type: ArrayType;
  data: string;
}

interface ColumnBase {
  name: string;
  meaning: string;
  type: ArrayType;
  values: Numbers;
}
export interface NumberColumn extends ColumnBase {
  kind: "number";
}
export interface FlagColumn extends ColumnBase {
  kind: "flag";
}
export interface TextColumn extends ColumnBase {
  kind: "text";
  words: string[]; // `values` are indices into them
  separator: string; // between the values that one text lists; empty for a single value
}
export type Column = NumberColumn | FlagColumn | TextColumn;
export type PackedColumn = Column & Packed;

/** The columns that have a part on the page; recipe.explorer.Roles describes them. */
export interface Roles {
  id: TextColumn;
  label: TextColumn | null;
  suggested: TextColumn | null;
  suspect: NumberColumn | null;
  group: TextColumn | null;
  wrong: FlagColumn | null;
  order: NumberColumn | null;
  caption: Column | null;
  guarded: FlagColumn | null;
  residual: NumberColumn | null;
  doubt: TextColumn | null;
}

export interface Pictures {
  cell: [number, number];
  across: number;
  each: number;
  crisp: boolean;
  sizes: Packed;
  sheets: string[];
}

export interface Payload {
  title: string;
  summary: string;
  counts: string;
  rows: number;
  shown: number;
  sampled: boolean;
  seed: number;
  roles: Record<keyof Roles, string>;
  initialFilter: Record<string, string[]>;
  text: boolean;
  classes: string[]; // or labels, or quantities
  entry: "one" | "any" | "number"; // how a label is entered: one of them, any of them, or a number for each
  measured: string[]; // columns with the given numbers
  columns: PackedColumn[];
  neighbours: (Packed & { k: number; heading: string }) | null;
  pictures: Pictures | null;
}

// ---- the state

export type ViewName = "gallery" | "table" | "duplicates" | "suspects" | "confusions";
export type Test = (i: number) => boolean;

/** A range of numbers; `none`: rows without a finite number pass too. NaN as both ends: only those pass. */
export interface RangeBrush {
  from: number;
  to: number;
  none: boolean;
  names?: undefined;
}
export interface NamesBrush {
  names: Set<string>;
}
export type Brush = RangeBrush | NamesBrush;

export type Action = "drop" | "relabel" | "keep";
export interface Mark {
  action: Action;
  label: string;
  reason: string;
}

export interface State {
  view: ViewName;
  query: string;
  sort: string; // a column; empty: shuffled
  down: boolean;
  seed: number;
  side: string; // the column whose values are shown side by side
  caption: string; // the column below each picture
  size: number; // pixels
  plots: string[]; // columns whose distributions are shown
  brushes: Map<string, Brush>; // by column
  active: number; // the example under the cursor, -1 for none
  open: boolean; // whether the panel shows the active example
  deciding: boolean; // whether the panel shows the decisions
  selected: Set<number>;
  marks: Map<number, Mark>; // by example
}
export interface Update extends Partial<Omit<State, "brushes">> {
  brushes?: [string, Brush | null][]; // null removes the brush
}

// ---- columns as categories and as bins

export interface Categories {
  names: string[];
  of: (i: number) => number[]; // indices into names
}
export interface Bins {
  low: number;
  high: number;
  n: number;
  whole: boolean; // whether every value is a whole number
  under: boolean; // whether the first bin also holds everything below it
  over: boolean;
  at: (i: number) => number; // -1 where there is no finite number
}

// ---- the layout

export interface Cell {
  i: number;
  x: number;
  width: number;
}
interface RowBase {
  y: number;
  height: number;
  cells: Cell[];
}
export interface TileRow extends RowBase {
  kind: "tiles";
}
export interface RecordRow extends RowBase {
  kind: "record";
}
export interface GroupRow extends RowBase {
  kind: "group";
  head: { code: number; size: number; labelsDiffer: boolean } | null;
}
export interface SuspectRow extends RowBase {
  kind: "suspect";
  narrow: boolean;
}
export type LayoutRow = TileRow | RecordRow | GroupRow | SuspectRow;

export interface ColumnHeading {
  column: Column;
  x: number;
  width: number;
}
export interface ValueHeading {
  column?: undefined;
  text: string;
  more: string;
  x: number;
  width: number;
}
export type Heading = ColumnHeading | ValueHeading;
export interface Layout {
  rows: LayoutRow[];
  width: number;
  height: number;
  headings: Heading[] | null; // of columns
  top: number; // where the first row begins
  summary: string; // beside the count of examples
}

// ---- elements

export type Child = string | Node | null | undefined | false | Child[];
export type Handlers = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
export type Properties = Record<string, string | number | boolean | null | undefined> | { on: Handlers };
/** A plot in the column of plots. */
export interface Plot {
  node: HTMLElement;
  tools: HTMLElement;
  update: () => void;
}
