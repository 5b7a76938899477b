// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/otelauth/otelauth-go"

// unshown holds the exported names that need no example, by the reason.
var unshown = map[string]string{
	"only another package of the project calls it": `
		redisfeed.Feed.Exchange redisfeed.Feed.Keep redisfeed.Feed.Key redisfeed.Feed.Restore
		redisstore.Store.Ahead redisstore.Store.Clear redisstore.Store.ClearHere redisstore.Store.Forget
		redisstore.Store.Look redisstore.Store.Update
		throttle.Memory.Forget throttle.Memory.Look throttle.Documents.Ahead throttle.Documents.Update
		throttle.Budgets.Documents throttle.Budgets.Charge throttle.Budgets.Sharing verify.Gate.Limits
		gateway.Gateway.CloseStreams gateway.Gateway.UpstreamState gateway.UpstreamState
		telemetry.Exporter telemetry.Errors telemetry.ErrorState
		otelauth.Middleware.Coverage otelauth.Coverage otelauth.CoverageGap
		evidence.Arrived loglines.Follow loglines.Reader.Long`,
	"an alias; examples use its values": `
		throttle.Settlement throttle.Store throttle.Verdict`,
	"part of an answer of the API, which openapi.json describes": `
		operator.DetectionException operator.DetectionRule
		operator.Attempt operator.Bucket operator.Budget operator.Cache operator.Count operator.Coverage
		operator.Dropped operator.Episode operator.ExportErrors operator.Exporter operator.Gap operator.Hashing operator.LiveAttempts operator.Meta
		operator.OutcomeRate operator.Problem operator.Pulse operator.Refusal operator.Reloads
		operator.Replica operator.Rule operator.Setting operator.Standing operator.Store operator.Table operator.Tally
		operator.UndoRequest operator.Upstream`,
	"part of a report, or of what is asked for; the package comment explains it": `
		attempt.Act operator.Act operator.Status.ListDetection
		detect.Advice detect.Count detect.CustomError detect.Owner
		evidence.DefaultTelemetry evidence.Delay evidence.Finding evidence.Judgement evidence.Received
		evidence.Report.Count evidence.Report.Gaps evidence.Requirements evidence.Series
		evidence.Verdict evidence.Verdict.IsGap evidence.Verdicts
		loglines.Rule loglines.Source
		probe.Access probe.Answer probe.Attempt probe.Evidence probe.Finding probe.Gap probe.Header
		probe.Outcome probe.Progress probe.Record probe.Request probe.Row probe.Series
		probe.Telemetry probe.Timing probe.Verdict`,
	"probe.Run and the command call it": `
		evidence.Ledger.Export evidence.Ledger.HasBaseline evidence.Ledger.Refused evidence.Ledger.Wait
		loglines.Fields.Record`,
	"Start calls it, and it affects every other example":                `telemetry.Providers.SetGlobal`,
	"it fails the test that calls it; docs/testing.md has one":          `otelauthtest.Coverage otelauthtest.CoverageOptions`,
	"Lines without an end, which an example cannot wait for":            `trail.Follow`,
	"the Trail gives the same to Witness.Cosign":                        `trail.ProveGrowth`,
	"for stores that lack something; that of the example lacks nothing": `verifytest.Features`,
}

// interfaceMethods are methods of the standard library's and OpenTelemetry's interfaces.
// Callers hold the interface. The methods of the module's own interfaces are added to them.
var interfaceMethods = strings.Fields(`
	Error Unwrap Is As
	String GoString Format LogValue
	MarshalText UnmarshalText MarshalJSON UnmarshalJSON MarshalYAML UnmarshalYAML
	ServeHTTP RoundTrip
	Write Read Close
`)

// TestEveryNameHasAnExample lists exported functions, types and methods of the public packages that
// no example uses and that unshown does not explain. An example shows a method if it calls one of
// that name, and a type if it names it, or uses one of its constants, functions or methods.
func TestEveryNameHasAnExample(t *testing.T) {
	t.Parallel()
	packages := publicPackages(t)
	shown := map[string]bool{}
	for _, p := range packages {
		p.markShown(packages, shown)
	}
	implemented := slices.Clone(interfaceMethods)
	for _, p := range packages {
		implemented = append(implemented, methodsOfInterfaces(p.Package)...)
	}
	names := map[string][]string{}
	for _, p := range packages {
		maps.Copy(names, exportedNames(p.Package, implemented))
	}
	for range 2 { // a function shows a method, which shows a type
		for name, by := range names {
			shown[name] = shown[name] || slices.ContainsFunc(by, func(other string) bool { return shown[other] })
		}
	}
	explanations := map[string]string{}
	for reason, list := range unshown {
		for name := range strings.FieldsSeq(list) {
			explanations[name] = reason
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		_, explained := explanations[name]
		switch {
		case !shown[name] && !explained:
			t.Errorf("%s: no example uses it; add one, or a reason to unshown", name)
		case shown[name] && explained:
			t.Errorf("%s: an example uses it; remove its row from unshown", name)
		}
	}
	for name := range explanations {
		if _, ok := names[name]; !ok {
			t.Errorf("%s: not an exported name; remove its row from unshown", name)
		}
	}
	t.Logf("%d names, %d of them without an example for a reason", len(names), len(explanations))
}

// publicPackage is a package that a user can import, with its files and those of its tests.
type publicPackage struct {
	*doc.Package

	files []*ast.File
}

// publicPackages returns the public packages of the root module by their import path.
func publicPackages(t *testing.T) map[string]publicPackage {
	t.Helper()
	packages := map[string]publicPackage{}
	err := filepath.WalkDir("..", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		switch d.Name() {
		case "internal", "cmd", "examples", "testdata", "collector-config", ".git":
			return fs.SkipDir
		}
		if p := readPackage(t, dir); p.Package != nil {
			packages[p.ImportPath] = p
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

func readPackage(t *testing.T, dir string) publicPackage {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var p publicPackage
	var code []*ast.File // go/doc removes the bodies of these
	for _, name := range paths {
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			p.files = append(p.files, file)
		} else {
			code = append(code, file)
		}
	}
	if len(code) == 0 {
		return p
	}
	importPath := path.Join(modulePath, filepath.ToSlash(strings.TrimPrefix(dir, "..")))
	if p.Package, err = doc.NewFromFiles(fset, code, importPath); err != nil {
		t.Fatal(err)
	}
	return p
}

// exportedNames returns the functions, types and methods of p as "package.Name" and
// "package.Type.Method", without methods that implement an interface. Each comes with the names
// that show it.
func exportedNames(p *doc.Package, implemented []string) map[string][]string {
	names := map[string][]string{}
	add := func(name string, f *doc.Func, by ...string) {
		names[name] = append(names[name], by...)
		for _, result := range resultsOf(f) {
			names[p.Name+"."+result] = append(names[p.Name+"."+result], name)
		}
	}
	for _, f := range p.Funcs {
		add(p.Name+"."+f.Name, f)
	}
	for _, typ := range p.Types {
		name := p.Name + "." + typ.Name
		names[name] = slices.Concat(names[name]) // also without members
		for _, value := range slices.Concat(typ.Consts, typ.Vars) {
			for _, member := range value.Names {
				names[name] = append(names[name], p.Name+"."+member)
			}
		}
		for _, f := range typ.Funcs {
			add(p.Name+"."+f.Name, f)
		}
		for _, m := range typ.Methods {
			// Without types, a call shows every method of its name in the packages of its file.
			call := p.Name + ".(method)." + m.Name
			if slices.Contains(implemented, m.Name) {
				for _, result := range resultsOf(m) {
					names[p.Name+"."+result] = append(names[p.Name+"."+result], call)
				}
				continue
			}
			add(name+"."+m.Name, m, call)
			names[name] = append(names[name], name+"."+m.Name)
		}
	}
	return names
}

// resultsOf returns the names of the types of its own package that f returns.
func resultsOf(f *doc.Func) (names []string) {
	if f.Decl.Type.Results == nil {
		return nil
	}
	for _, field := range f.Decl.Type.Results.List {
		ast.Inspect(field.Type, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				return false
			case *ast.Ident:
				if n.IsExported() {
					names = append(names, n.Name)
				}
			}
			return true
		})
	}
	return names
}

func methodsOfInterfaces(p *doc.Package) []string {
	var names []string
	for _, typ := range p.Types {
		ast.Inspect(typ.Decl, func(n ast.Node) bool {
			if in, ok := n.(*ast.InterfaceType); ok {
				for _, m := range in.Methods.List {
					for _, name := range m.Names {
						names = append(names, name.Name)
					}
				}
			}
			return true
		})
	}
	return names
}

// markShown adds to shown what the examples of p use.
func (p publicPackage) markShown(packages map[string]publicPackage, shown map[string]bool) {
	for _, file := range p.files {
		imported := map[string]string{} // the name in this file, and that of the package
		for _, spec := range file.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			other, ok := packages[importPath]
			if err != nil || !ok {
				continue
			}
			imported[other.Name] = other.Name
			if spec.Name != nil {
				imported[spec.Name.Name] = other.Name
			}
		}
		for _, node := range exampleNodes(file) {
			if f, ok := node.(*ast.FuncDecl); ok { // ExampleType_Method is about both
				about := strings.Split(strings.TrimPrefix(f.Name.Name, "Example"), "_")
				shown[p.Name+"."+about[0]] = true
				shown[p.Name+"."+strings.Join(about, ".")] = true
			}
			ast.Inspect(node, func(n ast.Node) bool {
				selector, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := selector.X.(*ast.Ident); ok && imported[x.Name] != "" {
					shown[imported[x.Name]+"."+selector.Sel.Name] = true
					return true
				}
				for _, name := range imported {
					shown[name+".(method)."+selector.Sel.Name] = true
				}
				return true
			})
		}
	}
}

// exampleNodes returns the examples of a file, with the functions and types of the file that they
// name: functions, or all of a file that godoc shows whole.
func exampleNodes(file *ast.File) []ast.Node {
	var examples []ast.Node
	others := 0
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		switch {
		case ok && strings.HasPrefix(f.Name.Name, "Example"):
			examples = append(examples, f)
		case ok && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz") || strings.HasPrefix(f.Name.Name, "Benchmark")):
			others++
		}
	}
	if len(examples) == 1 && others == 0 {
		return append(examples, file)
	}
	named := map[string]bool{}
	for i := 0; i < len(examples); i++ { // grows
		ast.Inspect(examples[i], func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && !named[id.Name] {
				named[id.Name] = true
				examples = append(examples, declared(file, id.Name)...)
			}
			return true
		})
	}
	return examples
}

// declared returns the functions without a receiver, and what else the file declares, of this name.
func declared(file *ast.File, name string) (nodes []ast.Node) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == name && !strings.HasPrefix(name, "Test") {
				nodes = append(nodes, d)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok && t.Name.Name == name {
					nodes = append(nodes, t)
				}
			}
		}
	}
	return nodes
}
