package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Key describes one key of a [Spec].
type Key struct {
	Name    string   // "model.layers"
	Type    string   // "integer", "number", "boolean" or "string"
	Doc     string   // one line
	Choices []string // the values allowed, where they are few
	Env     string   // "PARALLAX_MODEL_LAYERS"

	index  []int // the field's path in Spec
	kind   reflect.Kind
	before any // what a specification without the key means; nil: it must have it
}

// EnvPrefix begins the name of every environment variable that is read.
const EnvPrefix = "PARALLAX_"

// Keys lists the keys of a [Spec] in their canonical order.
func Keys() []Key {
	return append([]Key(nil), keys...)
}

var (
	keys     = collectKeys(reflect.TypeFor[Spec](), "", nil)
	keyNames = names(keys)
	keyIndex = indexKeys(keys)
)

func collectKeys(t reflect.Type, prefix string, index []int) []Key {
	var all []Key
	for i := range t.NumField() {
		f := t.Field(i)
		name, path := prefix+f.Tag.Get("toml"), append(index[:len(index):len(index)], i)
		if f.Type.Kind() == reflect.Struct {
			all = append(all, collectKeys(f.Type, name+".", path)...)
			continue
		}
		all = append(all, newKey(name, f, path))
	}
	return all
}

func newKey(name string, f reflect.StructField, index []int) Key {
	k := Key{Name: name, Type: typeName(f.Type.Kind()), Doc: f.Tag.Get("doc"), Env: envName(name), index: index, kind: f.Type.Kind()}
	if c := f.Tag.Get("choice"); c != "" {
		k.Choices = strings.Split(c, "|")
	}
	if text, late := f.Tag.Lookup("before"); late {
		before, err := k.fromText(text)
		if err != nil {
			panic(err) // our own tag
		}
		k.before = before
	}
	return k
}

func typeName(k reflect.Kind) string {
	switch k {
	case reflect.Int, reflect.Uint64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	}
	panic(fmt.Sprintf("config: a spec has no values of kind %s", k))
}

func envName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

func names(keys []Key) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.Name
	}
	return all
}

func indexKeys(keys []Key) map[string]Key {
	m := make(map[string]Key, len(keys))
	for _, k := range keys {
		m[k.Name] = k
	}
	return m
}

// value is the field's value in s, an int, uint64, float64, bool or string.
func (k Key) value(s *Spec) any {
	return reflect.ValueOf(s).Elem().FieldByIndex(k.index).Interface()
}
