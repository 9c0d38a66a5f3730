package kernels

import "testing"

type emptyToolkit struct{}

func (emptyToolkit) Examine() []Part                             { return nil }
func (emptyToolkit) Prebuild(string, []int) (string, int, error) { return "", 0, nil }

func TestToolkitOf(t *testing.T) {
	RegisterToolkit("toolkit-test", emptyToolkit{})
	if got, err := ToolkitOf("toolkit-test:3"); err != nil || got != (emptyToolkit{}) {
		t.Errorf("%v, %v", got, err)
	}
	Register("plain-test-device", nil)
	for device, want := range map[string]string{
		"plain-test-device": "plain-test-device needs nothing of a host beside itself",
		"abacus":            `unknown device "abacus": this binary has `,
		"abacus:x":          "want a kind and an index",
	} {
		_, err := ToolkitOf(device)
		wantError(t, err, want)
	}
}

func TestRegisterToolkitTwice(t *testing.T) {
	RegisterToolkit("toolkit-twice", emptyToolkit{})
	wantPanic(t, "kernels: toolkit toolkit-twice registered twice", func() { RegisterToolkit("toolkit-twice", emptyToolkit{}) })
}
