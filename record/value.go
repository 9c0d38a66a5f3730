package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The fields of the rows have seven types. Each is a column of SQLite, a cell of
// CSV and a value of JSON, without loss: a NaN is NULL, a time its nanoseconds
// since 1970 (0: none) or RFC 3339 in UTC, text is UTF-8.

// toSQL is the value that a pointer to a field points to, as SQLite takes it.
func toSQL(field any) any {
	switch p := field.(type) {
	case *int:
		return int64(*p)
	case *int64:
		return *p
	case *uint64:
		return int64(*p)
	case *float64:
		if math.IsNaN(*p) {
			return nil
		}
		return *p
	case *string:
		return strings.ToValidUTF8(*p, "\uFFFD")
	case *time.Time:
		if p.IsZero() {
			return int64(0)
		}
		return p.UnixNano()
	case *json.RawMessage:
		return string(*p)
	}
	panic(fmt.Sprintf("record: no column holds a %T", field))
}

// target is a field as the destination of a scan.
type target struct {
	column string
	field  any
}

// Scan implements sql.Scanner.
func (t target) Scan(src any) error {
	switch p := t.field.(type) {
	case *float64:
		switch x := src.(type) {
		case nil:
			*p = math.NaN()
			return nil
		case float64:
			*p = x
			return nil
		}
	case *string:
		if x, ok := src.(string); ok {
			*p = x
			return nil
		}
	case *json.RawMessage:
		if x, ok := src.(string); ok {
			*p = rawOrNil(x)
			return nil
		}
	default:
		if x, ok := src.(int64); ok {
			return setInteger(t.field, x)
		}
	}
	return fmt.Errorf("column %s holds a %T", t.column, src)
}

func rawOrNil(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

func setInteger(field any, x int64) error {
	switch p := field.(type) {
	case *int:
		*p = int(x)
	case *int64:
		*p = x
	case *uint64:
		*p = uint64(x)
	case *time.Time:
		*p = time.Time{}
		if x != 0 {
			*p = time.Unix(0, x).UTC()
		}
	default:
		return fmt.Errorf("no integer fits a %T", field)
	}
	return nil
}

// toText is the value as a cell of CSV.
func toText(field any) string {
	switch p := field.(type) {
	case *int:
		return strconv.Itoa(*p)
	case *int64:
		return strconv.FormatInt(*p, 10)
	case *uint64:
		return strconv.FormatUint(*p, 10)
	case *float64:
		return strconv.FormatFloat(*p, 'g', -1, 64)
	case *string:
		return strings.ToValidUTF8(*p, "\uFFFD")
	case *time.Time:
		if p.IsZero() {
			return ""
		}
		return p.UTC().Format(time.RFC3339Nano)
	case *json.RawMessage:
		return string(*p)
	}
	panic(fmt.Sprintf("record: no cell holds a %T", field))
}

// toJSON is the value in JSON. NaN and the infinities, which JSON lacks, are
// strings.
func toJSON(field any) ([]byte, error) {
	switch p := field.(type) {
	case *json.RawMessage:
		if *p == nil {
			return []byte("null"), nil
		}
		return *p, nil
	case *string, *time.Time:
		return json.Marshal(toText(p))
	case *float64:
		if math.IsNaN(*p) || math.IsInf(*p, 0) {
			return json.Marshal(toText(p))
		}
	}
	return []byte(toText(field)), nil
}

// fromJSON is the inverse of toJSON.
func fromJSON(field any, text json.RawMessage) error {
	if p, ok := field.(*json.RawMessage); ok {
		if *p = nil; string(text) != "null" {
			*p = append(*p, text...)
		}
		return nil
	}
	s := string(text)
	if strings.HasPrefix(s, `"`) {
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
	} else if _, isText := field.(*string); isText {
		return fmt.Errorf("%s is no string", text)
	}
	return fromText(field, s)
}

// fromText is the inverse of toText.
func fromText(field any, s string) (err error) {
	switch p := field.(type) {
	case *int:
		*p, err = strconv.Atoi(s)
	case *int64:
		*p, err = strconv.ParseInt(s, 10, 64)
	case *uint64:
		*p, err = strconv.ParseUint(s, 10, 63)
	case *float64:
		*p, err = strconv.ParseFloat(s, 64)
	case *string:
		*p = s
	case *time.Time:
		if *p = (time.Time{}); s != "" {
			*p, err = time.Parse(time.RFC3339Nano, s)
			if year := p.Year(); err == nil && (year < 1700 || year > 2200) {
				err = fmt.Errorf("the year %d is out of range", year)
			}
		}
	default:
		panic(fmt.Sprintf("record: nothing reads a %T", field))
	}
	return err
}

// Type is what a column holds, and as what [Ledger.ReadTable] hands it out.
type Type uint8

const (
	Integer Type = iota // int64
	Real                // float64; NaN where there is no number
	Text                // string
	Instant             // time.Time in UTC; the zero one where there is none
	JSON                // json.RawMessage, or nil
)

// Column is a column of a table.
type Column struct {
	Name string
	Type Type
}

func typeOf(field any) Type {
	switch field.(type) {
	case *int, *int64, *uint64:
		return Integer
	case *float64:
		return Real
	case *string:
		return Text
	case *time.Time:
		return Instant
	case *json.RawMessage:
		return JSON
	}
	panic(fmt.Sprintf("record: no column holds a %T", field))
}

// toPlain is the value of a field in its column's [Type].
func toPlain(field any) any {
	switch p := field.(type) {
	case *int:
		return int64(*p)
	case *uint64:
		return int64(*p)
	case *int64:
		return *p
	case *float64:
		return *p
	case *time.Time:
		return *p
	case *json.RawMessage:
		return *p
	}
	return toText(field)
}

// fromPlain is the inverse of toPlain.
func fromPlain(field, value any) error {
	switch v := value.(type) {
	case int64:
		if typeOf(field) == Integer {
			return setInteger(field, v)
		}
	case float64:
		if p, fits := field.(*float64); fits {
			*p = v
			return nil
		}
	case string:
		if p, fits := field.(*string); fits {
			*p = v
			return nil
		}
	case time.Time:
		if p, fits := field.(*time.Time); fits {
			*p = v
			return nil
		}
	case json.RawMessage:
		if p, fits := field.(*json.RawMessage); fits {
			if v != nil && !json.Valid(v) {
				return errors.New("it is no JSON")
			}
			*p = bytes.Clone(v)
			return nil
		}
	}
	return fmt.Errorf("a %T is no value of it", value)
}
