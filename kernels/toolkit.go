package kernels

import "fmt"

// Toolkit is what a kind of device needs on a host beside the device: it can be
// looked at, and prepared, where no device can be opened.
type Toolkit interface {
	// Examine looks at each part.
	Examine() []Part
	// Prebuild compiles the kernels for models with heads of these sizes, for an
	// architecture as the kind names it, "" for that of this host's first
	// device, and keeps them where Open finds them. It returns the architecture
	// and how many kernels it has.
	Prebuild(arch string, headDims []int) (built string, kernels int, err error)
}

// Part is one thing that a kind of device needs on a host: a driver, a library.
type Part struct {
	Name   string
	Detail string // its version and place, where it is there
	Err    error  // why it cannot be used
	Next   string // what to do about Err; "" where devices work without it
}

var toolkits kinds[Toolkit]

// RegisterToolkit makes a kind's toolkit known. Backends call it from init.
func RegisterToolkit(kind string, t Toolkit) { toolkits.add(kind, "toolkit", t) }

// ToolkitOf is the toolkit of a device's kind. The error says why there is none:
// this binary does not have the kind, or the kind needs nothing.
func ToolkitOf(device string) (Toolkit, error) {
	kind, _, err := ParseDevice(device)
	if err != nil {
		return nil, err
	}
	if t, has := toolkits.get(kind); has {
		return t, nil
	}
	if err := Check(device); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s needs nothing of a host beside itself", kind)
}
