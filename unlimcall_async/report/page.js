"use strict";
// Adds up the sums of the pairs of a country and a line that the reader has chosen, and draws the charts.
(() => {
  const { cube, charts, step, bound } = JSON.parse(document.getElementById("report").textContent);
  const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
  const MOST_NAMES = 20;
  const ALL = -1;
  const element = (id) => document.getElementById(id);
  // A half is rounded as the command line does.
  const format = (digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits, roundingMode: "halfEven" });
  const whole = format(0), money = format(2), percents = [whole, format(1), money];
  const percent = (share, digits) => percents[digits].format(share * 100) + "\u00a0%";
  const views = {};

  // --- what is chosen ---

  const chosen = (id) => Number(element(id).value);
  const currency = () => (element("currency") ? chosen("currency") : 0);

  // Call `use` with each row of the columns whose country and line are chosen. The country is in column `first`, the line behind it.
  function each(columns, first, use, country = chosen("country"), line = chosen("line")) {
    const countries = columns[first], lines = columns[first + 1];
    for (let row = 0; row < countries.length; row++) {
      if ((country === ALL || countries[row] === country) && (line === ALL || lines[row] === line)) use(row);
    }
  }

  // Show in each choice how many calls it has, given the other choice.
  function offer() {
    const [, countries, lines, calls] = cube.by_day;
    const perCountry = cube.countries.map(() => 0), perLine = cube.lines.map(() => 0);
    each(cube.by_day, 1, (row) => { perCountry[countries[row]] += calls[row]; }, ALL);
    each(cube.by_day, 1, (row) => { perLine[lines[row]] += calls[row]; }, chosen("country"), ALL);
    for (const [id, names, counts] of [["country", cube.countries, perCountry], ["line", cube.lines, perLine]]) {
      for (const option of element(id).options) {
        const place = Number(option.value);
        if (place === ALL) continue;
        option.textContent = `${names[place]} (${whole.format(counts[place])})`;
        option.disabled = counts[place] === 0 && !option.selected;
      }
    }
  }

  // --- the sums ---

  function sums() {
    const days = cube.starts.map((day) => ({ day, calls: 0, answered: 0, failed: 0, cents: 0 }));
    const names = (labels) => labels.map((name) => ({ name, calls: 0, answered: 0 }));
    const countries = names(cube.countries), lines = names(cube.lines), dispositions = names(cube.dispositions);
    const hours = [];
    for (const weekday of WEEKDAYS) for (let hour = 0; hour < 24; hour++) hours.push({ weekday, hour, calls: 0, answered: 0 });
    const total = { calls: 0, answered: 0, failed: 0, talk: 0, billed: 0, spend: cube.currencies.map(() => 0) };
    const [starts, ofCountry, ofLine, calls, answered, failed, talk, billed] = cube.by_day;
    each(cube.by_day, 1, (row) => {
      for (const sum of [days[starts[row]], countries[ofCountry[row]], lines[ofLine[row]], total]) {
        sum.calls += calls[row];
        sum.answered += answered[row];
        sum.failed += failed[row];
      }
      total.talk += talk[row];
      total.billed += billed[row];
    });
    each(cube.by_hour, 1, (row) => {
      const sum = hours[cube.by_hour[0][row]];
      sum.calls += cube.by_hour[3][row];
      sum.answered += cube.by_hour[4][row];
    });
    each(cube.by_disposition, 1, (row) => { dispositions[cube.by_disposition[0][row]].calls += cube.by_disposition[3][row]; });
    each(cube.spend, 2, (row) => {
      const cents = cube.spend[4][row];
      total.spend[cube.spend[0][row]] += cents;
      if (cube.spend[0][row] === currency()) days[cube.spend[1][row]].cents += cents;
    });
    const most = (rows) => rows.filter((row) => row.calls).sort((one, other) => other.calls - one.calls);
    // Whole cents add up exactly.
    for (const day of days) day.spend = day.cents / 100;
    const outcomes = days.flatMap(({ day, calls, answered, failed }) => [
      { day, outcome: "answered", layer: 0, calls: answered },
      { day, outcome: "failed", layer: 1, calls: failed },
      { day, outcome: "other", layer: 2, calls: calls - answered - failed },
    ]);
    // The tables have all names, and the charts those with the most calls.
    const tables = {
      calls_by_day: days,
      spend_by_day: days,
      failures_by_day: days,
      calls_by_hour: hours,
      calls_by_country: most(countries),
      answer_rate_by_country: most(countries),
      calls_by_agent: most(lines),
      calls_by_disposition: most(dispositions),
    };
    const rows = { ...tables, calls_by_day: outcomes };
    for (const name of Object.keys(rows)) if (charts[name]?.usermeta) rows[name] = rows[name].slice(0, MOST_NAMES);
    return { total, tables, rows };
  }

  // --- what is shown ---

  // Wilson's interval at 99 %, as in the charts.
  function interval(count, of) {
    if (!of) return [0, 1];
    const noise = 2.576 ** 2 / of, rate = count / of;
    const reach = Math.sqrt(noise * (rate * (1 - rate) + noise / 4)), middle = rate + noise / 2;
    return [Math.max(0, (middle - reach) / (1 + noise)), Math.min(1, (middle + reach) / (1 + noise))];
  }

  function show(id, text, small = "") {
    const place = element(id);
    place.textContent = text;
    if (small) place.appendChild(Object.assign(document.createElement("small"), { textContent: small }));
  }

  function showTotal({ calls, answered, failed, talk, billed, spend }) {
    const range = (count, digits) => {
      const [low, high] = interval(count, calls);
      return calls ? `${percent(low, digits)} to ${percent(high, digits)} at 99\u00a0%` : "";
    };
    show("calls", whole.format(calls));
    show("answered", calls ? percent(answered / calls, 1) : "-", range(answered, 1));
    show("length", answered ? `${whole.format(talk / answered)} s` : "-");
    show("minutes", whole.format(billed / 60));
    const spent = spend.map((cents, place) => [cents, cube.currencies[place]]).filter(([cents]) => cents)
      .sort(([, one], [, other]) => (one < other ? -1 : 1));
    const lines = spent.map(([cents, name]) => `${money.format(cents / 100)} ${name}`);
    show("spend", lines.join("\n") || "-", cube.other_currencies ? `and ${cube.other_currencies} other currencies` : "");
    show("failed", calls ? percent(failed / calls, 2) : "-", range(failed, 2));
    element("failed").parentElement.classList.toggle("high", calls >= bound[1] && failed / calls > bound[0]);
  }

  const NUMBERS = {
    calls_by_day: [[step, "calls", "answered", "failed"], (row) => [row.day, row.calls, row.answered, row.failed]],
    spend_by_day: [[step, "spend"], (row) => [row.day, money.format(row.spend)]],
    failures_by_day: [[step, "failed", "calls", "share"], (row) => [row.day, row.failed, row.calls, row.calls ? percent(row.failed / row.calls, 2) : "-"]],
    calls_by_hour: [["day", "hour", "calls", "answered"], (row) => [row.weekday, row.hour, row.calls, row.answered]],
    calls_by_country: [["country", "calls"], (row) => [row.name, row.calls]],
    answer_rate_by_country: [["country", "answered", "calls", "rate"], (row) => [row.name, row.answered, row.calls, percent(row.answered / row.calls, 1)]],
    calls_by_agent: [["line", "calls", "answered"], (row) => [row.name, row.calls, percent(row.answered / row.calls, 1)]],
    calls_by_disposition: [["disposition", "calls"], (row) => [row.name, row.calls]],
  };

  // The numbers of a chart as a table, made when the reader opens it.
  function fill(details, current) {
    const name = details.dataset.numbers, [head, cells] = NUMBERS[name];
    const table = document.createElement("table");
    const add = (kind, values) => {
      const row = table.insertRow();
      for (const value of values) {
        const cell = document.createElement(kind);
        if (kind === "th") cell.scope = "col";
        cell.textContent = typeof value === "number" ? whole.format(value) : value;
        row.appendChild(cell);
      }
    };
    add("th", head);
    for (const row of current.tables[name]) add("td", cells(row));
    details.querySelector(".numbers").replaceChildren(table);
  }

  // A chart of names has a line for each.
  const height = (name, rows) => charts[name].usermeta.step * Math.max(1, rows.length);

  let current;

  async function draw() {
    offer();
    current = sums();
    showTotal(current.total);
    for (const details of document.querySelectorAll("details[open][data-numbers]")) fill(details, current);
    await Promise.all(Object.entries(views).map(([name, view]) => {
      const rows = current.rows[name];
      if (charts[name].usermeta) view.height(height(name, rows));
      return view.data("rows", rows).resize().runAsync();
    }));
    document.body.dataset.drawn = String(Number(document.body.dataset.drawn || 0) + 1);
  }

  // On paper a chart is as wide as the page. A smaller picture of a wide one would have letters too small to read.
  const PAPER = { wide: 640, narrow: 300 };

  function toPaper() {
    for (const [name, view] of Object.entries(views)) {
      view.width(element(name).closest(".wide") ? PAPER.wide : PAPER.narrow).resize().run();
    }
  }

  function fromPaper() {
    for (const [name, view] of Object.entries(views)) view.width(element(name).clientWidth).resize().run();
  }

  function options(id, names, all) {
    const select = element(id);
    if (!select) return;
    const choices = names.map((name, place) => new Option(name, String(place)));
    select.replaceChildren(...(all ? [new Option(all, String(ALL))] : []), ...choices);
    select.addEventListener("change", draw);
  }

  async function begin() {
    options("country", cube.countries, "All countries");
    options("line", cube.lines, "All lines");
    options("currency", cube.currencies, "");
    element("filters").addEventListener("reset", () => setTimeout(draw));
    element("filters").addEventListener("submit", (event) => event.preventDefault());
    for (const details of document.querySelectorAll("details[data-numbers]")) {
      details.addEventListener("toggle", () => details.open && fill(details, current));
    }
    addEventListener("beforeprint", toPaper);
    addEventListener("afterprint", fromPaper);
    const how = { actions: false, renderer: "svg", ast: true }, { rows } = sums();
    await Promise.all(Object.entries(charts).map(async ([name, chart]) => {
      chart.datasets.rows = rows[name];
      if (chart.usermeta) chart.height = height(name, rows[name]);
      views[name] = (await vegaEmbed(element(name), chart, how)).view;
    }));
    await draw();
  }

  begin();
})();
