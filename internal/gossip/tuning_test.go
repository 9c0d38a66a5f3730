package gossip

import (
	"testing"
	"time"
)

func TestTuningAtTwoSeconds(t *testing.T) {
	got, err := TuningFor(2 * time.Second)
	want := Tuning{
		ProbeInterval:  250 * time.Millisecond,
		ProbeTimeout:   100 * time.Millisecond,
		GossipInterval: 50 * time.Millisecond,
		SyncInterval:   10 * time.Second,
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestTuningRefusesTheImpossible(t *testing.T) {
	if _, err := TuningFor(MinFailureTimeout - 1); err == nil {
		t.Error("a failure timeout below the minimum was accepted")
	}
}
