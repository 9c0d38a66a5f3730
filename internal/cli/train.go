package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/config"
	"parallax/internal/console"
	pb "parallax/proto/parallax/v1"
)

// trainFlags are how a run is submitted and followed.
type trainFlags struct {
	spec        specFlags
	trust       trustFlags
	coordinator string
	name        string
	resume      bool
	follow      bool
	detach      bool
	json        bool
	patience    time.Duration
}

func trainCommand() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Submit a run to a coordinator and follow it",
		Long: `train hands a run's settings to a coordinator that was started without --spec, and
shows the run until it is done. With --follow it only watches. Ctrl-C ends the
watching, never the run; --stop ends the run, with a checkpoint.

The --tls flags and --join-token-file can also be given as PARALLAX_TLS_CA and so on
in the environment.`,
		Example: `  parallax train --coordinator 10.0.0.1:7070 --config run.toml --insecure
  parallax train --coordinator head:7070 --follow --tls-ca ann/ca.pem --tls-cert ann/cert.pem --tls-key ann/key.pem`,
		Args: exactly(),
	}
	var stop bool
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.follow && f.detach || f.follow && stop || f.detach && stop {
			return usageError("--follow, --detach and --stop are three things to do instead of submitting and watching: give one of them")
		}
		if err := config.CheckPatience(f.patience); err != nil {
			return err
		}
		client, hangUp, err := f.trust.dial(cmd, f.coordinator)
		if err != nil {
			return err
		}
		defer hangUp()
		switch {
		case stop:
			_, err := client.Stop(cmd.Context(), &pb.StopRequest{Reason: "asked for on the command line"})
			return unanswered(f.coordinator, err)
		case !f.follow:
			if err := f.submit(cmd.Context(), client); err != nil || f.detach {
				return err
			}
		}
		return f.watch(cmd.Context(), client)
	}
	f.spec.add(cmd)
	f.trust.addForPeople(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.coordinator, "coordinator", "127.0.0.1:7070", "`HOST:PORT` of the coordinator")
	addRunName(flags, &f.name)
	flags.BoolVar(&f.resume, "resume", false, "go on from the newest checkpoint in the coordinator's folder")
	flags.BoolVar(&f.follow, "follow", false, "submit nothing, watch the run that there is")
	flags.BoolVar(&f.detach, "detach", false, "submit and return at once")
	flags.BoolVar(&stop, "stop", false, "stop the run after the step under way, with a checkpoint")
	flags.DurationVar(&f.patience, "patience", 5*time.Minute, "how long to wait for a coordinator that goes away")
	addEventsJSON(flags, &f.json)
	return cmd
}

// await begins to wait for a coordinator that has gone away.
func (f *trainFlags) await(ctx context.Context) (context.Context, context.CancelFunc) {
	fmt.Fprintf(os.Stderr, "the coordinator at %s is away; waiting up to %s for it to come back\n", f.coordinator, f.patience)
	return context.WithTimeoutCause(ctx, f.patience, &exitError{exitQuorum,
		fmt.Errorf("the coordinator at %s went away and did not come back within %s: start it again as it was, and watch on with --follow", f.coordinator, f.patience)})
}

func (f *trainFlags) submit(ctx context.Context, client pb.CoordinatorClient) error {
	loaded, err := f.spec.load()
	if err != nil {
		return err
	}
	answer, err := client.Submit(ctx, &pb.SubmitRequest{SpecToml: string(config.Canonical(loaded.Spec)), Name: f.name, Resume: f.resume})
	if err != nil {
		return unanswered(f.coordinator, err)
	}
	fmt.Fprintf(os.Stderr, "run %s, in %s\n", answer.RunId, answer.RunDir)
	return nil
}

func (f *trainFlags) watch(ctx context.Context, client pb.CoordinatorClient) error {
	done, err := followRun(ctx, client, console.New(os.Stdout, f.json), absence{begin: func() (context.Context, context.CancelFunc) { return f.await(ctx) }})
	if ctx.Err() != nil {
		return nil // the person has seen enough
	}
	if err != nil {
		return unanswered(f.coordinator, err)
	}
	return exitWith(int(done.ExitCode))
}
