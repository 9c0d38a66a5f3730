package kerneltest

import (
	"testing"

	"parallax/kernels"
	"parallax/kernels/ref"
)

func TestOracleAgainstItself(t *testing.T) {
	Run(t, func(*testing.T) kernels.Backend { return ref.New() }, Tolerance{})
}

func TestOracleThreads(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("the oracle has one thread; this only exercises RunThreads")
	}
	RunThreads(t, func(*testing.T, int) kernels.Backend { return ref.New() })
}
