// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
)

// The state of an engine is written field by field, with the names and shapes of the fields in
// front. A later version therefore reads what an earlier one wrote: a field that it does not have
// is skipped, and one that is missing is zero. Zero values are not written.
//
// A value is a varint, eight bytes, or bytes behind their length. The last holds texts, structs,
// lists and maps. A field of a struct begins with its index in the list of names, shifted by two
// bits, and the form of its value.
type form uint8

const (
	varint form = 0
	eight  form = 1
	sized  form = 2
)

var errState = errors.New("detect: the state is damaged")

var binaryMarshaler = reflect.TypeFor[encoding.BinaryMarshaler]()

// hasOwnForm reports whether a type writes itself, such as netip.Prefix.
func hasOwnForm(t reflect.Type) bool { return t.Implements(binaryMarshaler) }

// shape describes a type. A field whose shape has changed counts as another one.
func shape(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "u"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "i"
	case reflect.Float32, reflect.Float64:
		return "f"
	case reflect.String:
		return "t"
	case reflect.Pointer:
		return shape(t.Elem())
	case reflect.Map:
		return "{" + shape(t.Key()) + shape(t.Elem()) + "}"
	case reflect.Slice, reflect.Array:
		if isBytes(t) {
			return "t"
		}
		return "[" + shape(t.Elem()) + "]"
	case reflect.Struct:
		if hasOwnForm(t) {
			return "b"
		}
		return "s"
	default:
		panic(fmt.Sprintf("detect: a field of type %v cannot be in a snapshot", t))
	}
}

func formOf(t reflect.Type) form {
	switch shape(t) {
	case "u", "i":
		return varint
	case "f":
		return eight
	}
	return sized
}

// plan is how a type of structs is written.
type plan struct {
	hasOwnForm bool
	fields     []field
}

type field struct {
	at   int
	name string // with its shape
	form form
}

// plans caches plans.
type plans map[reflect.Type]*plan

func (p plans) of(t reflect.Type) *plan {
	if known, ok := p[t]; ok {
		return known
	}
	made := &plan{hasOwnForm: hasOwnForm(t)}
	p[t] = made
	if made.hasOwnForm {
		return made
	}
	for i := range t.NumField() {
		f := t.Field(i)
		made.fields = append(made.fields, field{i, f.Name + ":" + shape(f.Type), formOf(f.Type)})
	}
	return made
}

func isBytes(t reflect.Type) bool {
	return (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && t.Elem().Kind() == reflect.Uint8
}

// own returns v, addressable, as a value that can be set although its field is not exported.
func own(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
}

// encoder writes a state.
type encoder struct {
	blocks *blocks
	b      []byte
	plans  plans
	names  map[string]uint64
	list   []string
}

func newEncoder(b *blocks) *encoder {
	return &encoder{blocks: b, plans: plans{}, names: map[string]uint64{}}
}

// bytes returns the names and what was written.
func (e *encoder) bytes() []byte {
	var head []byte
	head = binary.AppendUvarint(head, uint64(len(e.list)))
	for _, name := range e.list {
		head = append(binary.AppendUvarint(head, uint64(len(name))), name...)
	}
	return append(head, e.b...)
}

func (e *encoder) index(name string) uint64 {
	i, ok := e.names[name]
	if !ok {
		i = uint64(len(e.list))
		e.names[name] = i
		e.list = append(e.list, name)
	}
	return i
}

// section writes a named value. p points to it.
func (e *encoder) section(name string, p any) {
	v := reflect.ValueOf(p).Elem()
	e.tag(name+":"+shape(v.Type()), formOf(v.Type()))
	e.value(v)
}

func (e *encoder) tag(name string, f form) {
	e.b = binary.AppendUvarint(e.b, e.index(name)<<2|uint64(f))
}

// within writes the length of what write writes in front of it.
func (e *encoder) within(write func()) {
	at := len(e.b)
	write()
	n := len(e.b) - at
	e.b = binary.AppendUvarint(e.b, uint64(n)) // makes room
	head := len(e.b) - at - n
	copy(e.b[at+head:], e.b[at:at+n])
	binary.PutUvarint(e.b[at:], uint64(n))
}

// value writes v, which is addressable.
func (e *encoder) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		n := uint64(0)
		if v.Bool() {
			n = 1
		}
		e.b = binary.AppendUvarint(e.b, n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.b = binary.AppendUvarint(e.b, v.Uint())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.b = binary.AppendVarint(e.b, v.Int())
	case reflect.Float32, reflect.Float64:
		e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(v.Float()))
	case reflect.String:
		e.b = append(binary.AppendUvarint(e.b, uint64(v.Len())), v.String()...)
	case reflect.Pointer:
		if v.IsNil() {
			e.value(reflect.New(v.Type().Elem()).Elem())
			return
		}
		e.value(v.Elem())
	default:
		e.within(func() { e.content(v) })
	}
}

func (e *encoder) content(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Map:
		e.mapped(own(v))
	case v.Kind() == reflect.Struct:
		e.structure(v)
	case isBytes(v.Type()):
		e.b = append(e.b, v.Bytes()...)
	default:
		n := v.Len()
		for v.Kind() == reflect.Array && n > 0 && v.Index(n-1).IsZero() {
			n--
		}
		for i := range n {
			e.value(v.Index(i))
		}
	}
}

func (e *encoder) structure(v reflect.Value) {
	if v.Type() == reflect.TypeFor[distinct]() {
		kept := own(v).Addr().Interface().(*distinct).kept(e.blocks)
		v = reflect.ValueOf(&kept).Elem()
	}
	p := e.plans.of(v.Type())
	if p.hasOwnForm {
		b, _ := own(v).Interface().(encoding.BinaryMarshaler).MarshalBinary() // none of our types fails
		e.b = append(e.b, b...)
		return
	}
	for _, f := range p.fields {
		if at := v.Field(f.at); !at.IsZero() {
			e.tag(f.name, f.form)
			e.value(at)
		}
	}
}

// mapped writes a map in the order of its keys, so that equal states are equal bytes.
func (e *encoder) mapped(v reflect.Value) {
	var all [][]byte
	for i := v.MapRange(); i.Next(); {
		at := len(e.b)
		for _, item := range [...]reflect.Value{i.Key(), i.Value()} {
			p := reflect.New(item.Type()).Elem()
			own(p).Set(item)
			e.value(p)
		}
		all = append(all, bytes.Clone(e.b[at:]))
		e.b = e.b[:at]
	}
	slices.SortFunc(all, bytes.Compare)
	for _, item := range all {
		e.b = append(e.b, item...)
	}
}

// decoder reads a state. Once something is wrong, all that follows is zero, and bad is set.
type decoder struct {
	blocks *blocks
	b      []byte
	plans  plans
	list   []string
	bad    bool
}

func newDecoder(b *blocks, state []byte) *decoder {
	d := &decoder{blocks: b, b: state, plans: plans{}}
	n := d.uvarint()
	for range min(n, uint64(len(state))) {
		d.list = append(d.list, string(d.take(d.uvarint())))
	}
	return d
}

func (d *decoder) fail() {
	d.bad, d.b = true, nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// within calls read for the bytes behind a length.
func (d *decoder) within(read func()) {
	inner := d.take(d.uvarint())
	outer := d.b
	d.b = inner
	read()
	if !d.bad {
		d.b = outer
	}
}

// tag reads the name and the form of a field.
func (d *decoder) tag() (name string, f form) {
	v := d.uvarint()
	if v>>2 >= uint64(len(d.list)) || v&3 > uint64(sized) {
		d.fail()
		return "", 0
	}
	return d.list[v>>2], form(v & 3)
}

func (d *decoder) skip(f form) {
	switch f {
	case varint:
		d.uvarint()
	case eight:
		d.take(8)
	case sized:
		d.take(d.uvarint())
	}
}

// value reads v, which can be set. Numbers that do not fit are damage.
func (d *decoder) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(d.uvarint() != 0)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n := d.uvarint()
		if v.OverflowUint(n) {
			d.fail()
			return
		}
		v.SetUint(n)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, size := binary.Varint(d.b)
		if size <= 0 || v.OverflowInt(n) {
			d.fail()
			return
		}
		d.b = d.b[size:]
		v.SetInt(n)
	case reflect.Float32, reflect.Float64:
		if b := d.take(8); b != nil {
			v.SetFloat(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	case reflect.String:
		v.SetString(string(d.take(d.uvarint())))
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(p.Elem())
		v.Set(p)
	default:
		d.within(func() { d.content(v) })
	}
}

func (d *decoder) content(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for len(d.b) > 0 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			d.value(key)
			d.value(value)
			if !d.bad {
				v.SetMapIndex(key, value)
			}
		}
	case v.Kind() == reflect.Struct:
		d.structure(v)
	case isBytes(v.Type()):
		if v.Kind() == reflect.Slice {
			v.SetBytes(make([]byte, len(d.b)))
		}
		reflect.Copy(v, reflect.ValueOf(d.take(uint64(len(d.b)))))
	case v.Kind() == reflect.Slice:
		for len(d.b) > 0 {
			item := reflect.New(v.Type().Elem()).Elem()
			d.value(item)
			v.Set(reflect.Append(v, item))
		}
	default: // of an array; a later version may have more of them
		for i := 0; len(d.b) > 0 && i < v.Len(); i++ {
			d.value(own(v.Index(i)))
		}
	}
}

func (d *decoder) structure(v reflect.Value) {
	if v.Type() == reflect.TypeFor[distinct]() {
		var kept keptDistinct
		d.structure(reflect.ValueOf(&kept).Elem())
		*v.Addr().Interface().(*distinct) = kept.counter(d)
		return
	}
	p := d.plans.of(v.Type())
	if p.hasOwnForm {
		if v.Addr().Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary(d.take(uint64(len(d.b)))) != nil {
			d.fail()
		}
		return
	}
	next := 0 // fields are mostly in order
	for len(d.b) > 0 {
		name, f := d.tag()
		i := next
		for i < len(p.fields) && p.fields[i].name != name {
			i++
		}
		if i == len(p.fields) {
			i = slices.IndexFunc(p.fields, func(f field) bool { return f.name == name })
		}
		if i < 0 {
			d.skip(f)
			continue
		}
		d.value(own(v.Field(p.fields[i].at)))
		next = i + 1
	}
}
