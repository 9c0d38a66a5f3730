package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// fromTOML turns a decoded TOML value into the key's Go type, exactly or not at
// all.
func (k Key) fromTOML(v any) (any, error) {
	switch x := v.(type) {
	case int64:
		switch {
		case k.kind == reflect.Int && int64(int(x)) == x:
			return int(x), nil
		case k.kind == reflect.Uint64 && x >= 0:
			return uint64(x), nil
		case k.kind == reflect.Float64:
			return float64(x), nil
		}
	case float64:
		if k.kind == reflect.Float64 && !math.IsNaN(x) && !math.IsInf(x, 0) {
			return x, nil
		}
	case bool:
		if k.kind == reflect.Bool {
			return x, nil
		}
	case string:
		if k.kind == reflect.String {
			return x, nil
		}
	}
	return nil, k.wrongType(showTOML(v))
}

// fromText is fromTOML for a value from a flag or the environment, where a
// string needs no quotes.
func (k Key) fromText(text string) (any, error) {
	switch k.kind {
	case reflect.Int:
		if n, err := strconv.Atoi(text); err == nil {
			return n, nil
		}
	case reflect.Uint64:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
			return uint64(n), nil
		}
	case reflect.Float64:
		if x, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) {
			return x, nil
		}
	case reflect.Bool:
		if text == "true" || text == "false" {
			return text == "true", nil
		}
	case reflect.String:
		return text, nil
	}
	return nil, k.wrongType(text)
}

func (k Key) wrongType(got string) error {
	want := map[string]string{
		"integer": "an integer", "number": "a finite number", "boolean": "true or false", "string": "a string",
	}[k.Type]
	if k.kind == reflect.Uint64 {
		want = "an integer from 0 to 2^63-1"
	}
	return fmt.Errorf("%s must be %s, not %s", k.Name, want, got)
}

// showTOML writes a decoded value as a file would.
func showTOML(v any) string {
	switch x := v.(type) {
	case string:
		return quoteTOML(x)
	case float64:
		return formatFloat(x)
	case map[string]any:
		return "a table"
	case []any:
		return "a list"
	}
	return fmt.Sprint(v)
}

// formatFloat is the shortest decimal that reads back as x, and is a TOML float.
func formatFloat(x float64) string {
	switch {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// quoteTOML is a TOML basic string.
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
