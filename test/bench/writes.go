package main

import "fmt"

// writes compares PutSecretValue with one fsync a request.
func (b *bench) writes() (section, error) {
	s := section{title: fmt.Sprintf("PutSecretValue of 1 KiB, %s secrets stored", thousands(b.secrets))}
	s.text = `An answer means that the new version is on disk. The reference is the floor's write: append and fsync, once a request, one
request after the other. Requests that wait at the same time share a commit, and with it the fsync, here; so the ratio grows
with the connections, and with the time that the disk takes.`
	t := s.table("connections", "azekura", "one fsync each")
	least := map[int]float64{16: 3, 64: 4}
	err := b.withFloor(func(ours, floor *node) error {
		perSecond, cpu, p50, p99 := figures()
		for _, connections := range []int{1, 16, 64} {
			b.say("PutSecretValue, %d connections ...", connections)
			before, err := ours.scrape()
			if err != nil {
				return err
			}
			results, err := b.takeTurns(ours.puts(connections, b.secrets, connections), floor.puts(connections, b.secrets, connections))
			if err != nil {
				return err
			}
			after, err := ours.scrape()
			if err != nil {
				return err
			}
			name := fmt.Sprint(connections)
			var g *goal
			ratio := results[0].over(results[1], perSecond)
			if limit, set := least[connections]; set {
				g = s.atLeast(fmt.Sprintf("PutSecretValue, %d connections: requests/s against one fsync each", connections), ratio, limit)
			}
			t.compare(name, perSecond, results[0], results[1], g)
			for _, f := range []figure{cpu, p50, p99} {
				t.compare(name, f, results[0], results[1], nil)
			}
			t.busy(results[0], results[1])
			commits := after.since(before, "azekura_store_commit_changes_count")
			s.note("Over %d connections a commit held %.1f changes on average, and COMMIT took %.2f ms.", connections,
				after.since(before, "azekura_store_commit_changes_sum")/commits,
				1e3*after.since(before, "azekura_store_commit_duration_seconds_sum")/commits)
		}
		return nil
	})
	return s, err
}
