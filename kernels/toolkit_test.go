package kernels

import (
	"strings"
	"testing"
)

type emptyToolkit struct{}

func (emptyToolkit) Examine() []Part                             { return nil }
func (emptyToolkit) Prebuild(string, []int) (string, int, error) { return "", 0, nil }

func TestToolkitOf(t *testing.T) {
	RegisterToolkit("toolkit-test", emptyToolkit{})
	if got, err := ToolkitOf("toolkit-test:3"); err != nil || got != (emptyToolkit{}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ToolkitOf("abacus"); err == nil || !strings.Contains(err.Error(), "toolkit-test") {
		t.Errorf("error %v: want one that names the kinds that there are", err)
	}
	if _, err := ToolkitOf("abacus:x"); err == nil {
		t.Error("a device that is none: taken")
	}
}

func TestRegisterToolkitTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a second toolkit of a kind: taken")
		}
	}()
	RegisterToolkit("toolkit-twice", emptyToolkit{})
	RegisterToolkit("toolkit-twice", emptyToolkit{})
}
