// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/semconvgen/recorded"
)

// The pictures of the README are drawn from data of real runs in testdata:
//
//	go test ./examples -run TestPicture -update    runs the quickstart again and draws both pictures
//
// testdata/dashboard.json holds results of the queries of the overview dashboard. They come from a
// Prometheus that scraped the quickstart for seven minutes, with two honest clients, and with
// three minutes of guesses for alice and for names of a list.
var update = flag.Bool("update", false, "run the quickstart and draw the pictures of the README again")

type (
	attributes map[string]any
	span       struct {
		Name       string
		Start, End time.Time
		Attributes attributes
	}
	// traceData is what the quickstart exported for one wrong password.
	traceData struct {
		Trace  string
		Spans  []span
		Event  struct{ Name, Severity, Trace string }
		Fields []field // of the event, in its order
		Metric string
		Labels attributes
		Value  int
	}
	field struct{ Key, Value string }
)

// exported is the form in which OpenTelemetry's stdout exporters write attributes.
type exported []struct {
	Key   string
	Value struct{ Value any }
}

func (e exported) attributes() attributes {
	all := make(attributes)
	for _, kv := range e {
		all[kv.Key] = kv.Value.Value
	}
	return all
}

// runQuickstart returns what the first command of the README prints of one attempt.
func runQuickstart(t *testing.T) traceData {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./examples/quickstart", "--once", "--json", "--addr", "127.0.0.1:0")
	cmd.Dir = root
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "OTEL_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), "\nTrace:\n")
	spans, rest, _ := strings.Cut(rest, "\nMetric points")
	_, rest, _ = strings.Cut(rest, "\n")
	metrics, event, found := strings.Cut(rest, "\nEvent:\n")
	if !found {
		t.Fatalf("the quickstart printed something else:\n%s", out)
	}
	var data traceData
	data.readSpans(t, spans)
	data.readMetric(t, metrics)
	data.readEvent(t, event)
	return data
}

func (d *traceData) readSpans(t *testing.T, text string) {
	t.Helper()
	for decoder := json.NewDecoder(strings.NewReader(text)); decoder.More(); {
		var s struct {
			Name               string
			SpanContext        struct{ TraceID string }
			StartTime, EndTime time.Time
			Attributes         exported
		}
		if err := decoder.Decode(&s); err != nil {
			t.Fatal(err)
		}
		d.Trace = s.SpanContext.TraceID
		d.Spans = append(d.Spans, span{s.Name, s.StartTime, s.EndTime, s.Attributes.attributes()})
	}
	slices.Reverse(d.Spans) // spans are exported when they end, so the server span is the last
}

func (d *traceData) readMetric(t *testing.T, text string) {
	t.Helper()
	var all struct {
		ScopeMetrics []struct {
			Scope   struct{ Name string }
			Metrics []struct {
				Name string
				Data struct {
					DataPoints []struct {
						Attributes exported
						Value      float64
					}
				}
			}
		}
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&all); err != nil {
		t.Fatal(err)
	}
	ours := 0 // the order of scopes varies
	for !strings.HasSuffix(all.ScopeMetrics[ours].Scope.Name, "otelauth-go/metrics") {
		ours++
	}
	first := all.ScopeMetrics[ours].Metrics[0]
	d.Metric, d.Labels, d.Value = first.Name, first.Data.DataPoints[0].Attributes.attributes(), int(first.Data.DataPoints[0].Value)
}

func (d *traceData) readEvent(t *testing.T, text string) {
	t.Helper()
	var e struct {
		EventName, SeverityText, TraceID string
		Attributes                       exported
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&e); err != nil {
		t.Fatal(err)
	}
	d.Event.Name, d.Event.Severity, d.Event.Trace = e.EventName, e.SeverityText, e.TraceID
	for _, kv := range e.Attributes {
		d.Fields = append(d.Fields, field{kv.Key, fmt.Sprint(kv.Value.Value)})
	}
}

// picture is an SVG whose colours follow the reader's light or dark scheme.
type picture struct {
	bytes.Buffer
	width, height int
}

const style = `<style>
text{font:14px ui-sans-serif,-apple-system,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif;fill:#1f2328}
.code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.title{font-weight:600}.big{font-size:26px;font-weight:600}
.page{fill:#fff;stroke:#d0d7de}.panel{fill:#f6f8fa;stroke:#d0d7de}.soft{fill:#59636e}.grid{stroke:#d0d7de}
.c0{fill:#1a7f37;stroke:#1a7f37}.c1{fill:#cf222e;stroke:#cf222e}.c2{fill:#bc4c00;stroke:#bc4c00}
.c3{fill:#59636e;stroke:#59636e}.c4{fill:#8250df;stroke:#8250df}.c5{fill:#0969da;stroke:#0969da}
path{fill:none!important;stroke-linejoin:round}text.c0,text.c1,text.c2,text.c3,text.c4,text.c5{stroke:none}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}
.page{fill:#0d1117;stroke:#3d444d}.panel{fill:#151b23;stroke:#3d444d}.soft{fill:#9198a1}.grid{stroke:#3d444d}
.c0{fill:#3fb950;stroke:#3fb950}.c1{fill:#f85149;stroke:#f85149}.c2{fill:#db6d28;stroke:#db6d28}
.c3{fill:#9198a1;stroke:#9198a1}.c4{fill:#ab7df8;stroke:#ab7df8}.c5{fill:#4493f8;stroke:#4493f8}}
</style>
`

func newPicture(width, height int, title string) *picture {
	p := &picture{width: width, height: height}
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(p, "<title>%s</title>\n%s", html.EscapeString(title), style)
	p.box(1, 1, width-2, height-2, "page")
	return p
}

func (p *picture) box(x, y, width, height int, class string) {
	fmt.Fprintf(p, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" class="%s"/>`+"\n", x, y, width, height, class)
}

func (p *picture) text(x, y int, class, text string) {
	fmt.Fprintf(p, `<text x="%d" y="%d" class="%s">%s</text>`+"\n", x, y, class, html.EscapeString(text))
}

func (p *picture) end() []byte {
	p.WriteString("</svg>\n")
	return p.Bytes()
}

// drawTrace draws the spans as a waterfall, and the event and the counter below it.
func drawTrace(d traceData) []byte {
	lines := (len(d.Fields) + 1) / 2
	p := newPicture(1000, 310+22*lines, "One wrong password as OpenTelemetry receives it: a trace, its event and its counter")
	p.text(24, 36, "title", "Trace")
	p.text(80, 36, "code soft", d.Trace)
	begin, whole := d.Spans[0].Start, d.Spans[0].End.Sub(d.Spans[0].Start)
	const left, width = 260, 600
	for i, s := range d.Spans {
		y := 58 + 38*i
		at := func(moment time.Time) int { return int(width * moment.Sub(begin) / whole) }
		p.text(24+16*i, y+16, "code", s.Name)
		class := "c5"
		if s.Attributes["error.type"] != nil {
			class = "c1"
		}
		p.box(left+at(s.Start), y, max(3, at(s.End)-at(s.Start)), 22, class)
		p.text(left+width+14, y+16, "code", fmt.Sprintf("%.1f ms", float64(s.End.Sub(s.Start).Microseconds())/1000))
	}
	y := 58 + 38*len(d.Spans) + 8
	p.box(16, y, 968, 52+22*lines, "panel")
	p.text(32, y+27, "title", "Event")
	p.text(88, y+27, "code c2", d.Event.Name+"  "+d.Event.Severity)
	p.text(260, y+27, "code soft", "trace "+d.Event.Trace)
	for i, f := range d.Fields {
		column, row := i/lines, i%lines
		class := "code"
		if strings.HasPrefix(f.Key, "auth.") || strings.HasPrefix(f.Key, "user.") || f.Key == "error.type" {
			class = "code c5"
		}
		if len(f.Value) > 27 {
			f.Value = f.Value[:26] + "…"
		}
		p.text(32+480*column, y+54+22*row, "code soft", f.Key)
		p.text(32+480*column+226, y+54+22*row, class, f.Value)
	}
	y += 64 + 22*lines
	p.box(16, y, 968, 56, "panel")
	p.text(32, y+24, "title", "Metric")
	p.text(88, y+24, "code c2", d.Metric)
	p.text(260, y+24, "code soft", fmt.Sprintf("value %d, with an exemplar that leads to the trace", d.Value))
	var labels []string
	for _, k := range []string{"auth.outcome", "error.type", "http.request.method", "http.route"} {
		labels = append(labels, fmt.Sprintf("%s=%v", k, d.Labels[k]))
	}
	p.text(32, y+46, "code", strings.Join(labels, "  "))
	return p.end()
}

type (
	panel struct {
		Title, Unit, Expr string
		Stat              *float64 `json:",omitempty"`
		Series            []series `json:",omitempty"`
	}
	series struct {
		Name   string
		Values []float64
	}
	dashboardData struct {
		Title   string
		Seconds int // of the whole graph
		Panels  []panel
	}
)

// format writes a value as Grafana does.
func format(v float64, unit string) string {
	switch unit {
	case "percentunit":
		return fmt.Sprintf("%.0f %%", 100*v)
	case "reqps":
		return fmt.Sprintf("%.3g/s", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// drawDashboard draws a row of single values and then two graphs a row.
func drawDashboard(d dashboardData) []byte {
	graphs := slices.DeleteFunc(slices.Clone(d.Panels), func(p panel) bool { return p.Stat != nil })
	stats := d.Panels[:len(d.Panels)-len(graphs)]
	p := newPicture(1000, 156+236*((len(graphs)+1)/2), "The overview dashboard while a guessing attack runs")
	p.text(24, 34, "title", d.Title)
	p.text(24+9*len(d.Title), 34, "soft", fmt.Sprintf("last %d minutes", d.Seconds/60))
	width := (968 - 12*(len(stats)-1)) / len(stats)
	for i, s := range stats {
		x := 16 + i*(width+12)
		p.box(x, 52, width, 80, "panel")
		p.text(x+16, 76, "soft", s.Title)
		p.text(x+16, 114, "big", format(*s.Stat, s.Unit))
	}
	for i, g := range graphs {
		p.graph(16+490*(i%2), 144+236*(i/2), g, d.Seconds)
	}
	return p.end()
}

var colors = map[string]string{"success": "c0", "failure": "c1", "throttled": "c2", "missing": "c3", "malformed": "c4"}

// graph draws one panel of 478 × 224.
func (p *picture) graph(x, y int, g panel, seconds int) {
	p.box(x, y, 478, 224, "panel")
	p.text(x+16, y+24, "title", g.Title)
	const left, top, width, height = 72, 40, 386, 124
	highest := 0.0
	for _, s := range g.Series {
		highest = max(highest, slices.Max(s.Values))
	}
	if g.Unit == "percentunit" {
		highest = 1
	}
	for i := range 3 {
		gy := y + top + height*i/2
		fmt.Fprintf(p, `<line x1="%d" y1="%d" x2="%d" y2="%d" class="grid"/>`+"\n", x+left, gy, x+left+width, gy)
		p.text(x+12, gy+5, "code soft", format(highest*float64(2-i)/2, g.Unit))
	}
	for i := range 3 {
		label := fmt.Sprintf("%.1f min", float64(seconds)*float64(i)/120)
		p.text(x+left+width*i/2-4*len(label)*i, y+top+height+20, "code soft", label)
	}
	legend := x + 16
	for i, s := range g.Series {
		class := colors[s.Name]
		if class == "" {
			class = []string{"c1", "c5", "c4", "c2", "c3", "c0"}[i%6]
		}
		var path strings.Builder
		for j, v := range s.Values {
			step := "L"
			if j == 0 {
				step = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", step, float64(x+left)+float64(width*j)/float64(len(s.Values)-1), float64(y+top+height)-height*v/highest)
		}
		// A line under another of the same values stays visible.
		thickness := 2
		for _, above := range g.Series[i+1:] {
			if slices.Equal(above.Values, s.Values) {
				thickness += 4
			}
		}
		fmt.Fprintf(p, `<path d="%s" class="%s" stroke-width="%d"/>`+"\n", path.String(), class, thickness)
		p.text(legend, y+212, "code "+class, s.Name)
		legend += int(math.Ceil(8*float64(len([]rune(s.Name))))) + 18
	}
}

// golden compares a picture with the file, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	p := filepath.Join(root, "docs", "images", name)
	if *update {
		if err := os.WriteFile(p, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(fromRoot(t, "docs/images/"+name), string(got)); diff != "" {
		t.Errorf("run go test ./examples -run TestPicture -update (-file +drawn):\n%s", diff)
	}
}

func TestPictureTrace(t *testing.T) {
	t.Parallel()
	if *update {
		text, err := json.MarshalIndent(runQuickstart(t), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		write(t, "testdata", "trace.json", string(text)+"\n")
	}
	var data traceData
	if err := json.Unmarshal([]byte(fromRoot(t, "examples/testdata/trace.json")), &data); err != nil {
		t.Fatal(err)
	}
	golden(t, "trace.svg", drawTrace(data))

	// The picture shows names that are still emitted.
	var keys, names []string
	for _, o := range recorded.Signals(collect(t)) {
		names = append(names, o.Type+" "+o.Name)
		if o.Type == "event" {
			keys = slices.AppendSeq(keys, maps.Keys(o.Types))
		}
	}
	for _, f := range data.Fields {
		if !slices.Contains(keys, f.Key) {
			t.Errorf("no event has %q any more: run go test ./examples -run TestPicture -update", f.Key)
		}
	}
	for _, name := range []string{"metric " + data.Metric, "event " + data.Event.Name} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not emitted any more: run go test ./examples -run TestPicture -update", name)
		}
	}
}

func TestPictureDashboard(t *testing.T) {
	t.Parallel()
	var data dashboardData
	if err := json.Unmarshal([]byte(fromRoot(t, "examples/testdata/dashboard.json")), &data); err != nil {
		t.Fatal(err)
	}
	golden(t, "dashboard.svg", drawDashboard(data))
	board := fromRoot(t, "collector-config/dashboards/otelauth/overview.json")
	for _, p := range data.Panels {
		if !strings.Contains(board, `"title": "`+p.Title+`"`) {
			t.Errorf("overview.json has no panel %q", p.Title)
		}
	}
}
