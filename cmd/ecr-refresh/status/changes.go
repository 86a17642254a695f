package status

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/registry"
)

// updateTakes bounds the time from the update's entry in the event log to its result.
const updateTakes = time.Hour

// readEvents adds the newest change of each connection.
func (s *Status) readEvents(ctx context.Context, airflow Airflow) error {
	first := s.now
	for _, c := range s.Connections {
		if c.PublishedAt != nil && c.updated.Before(first) {
			first = c.updated
		}
	}
	events, err := airflow.ConnectionEvents(ctx, first.Add(-updateTakes))
	right, lacks := lacking(err)
	if err != nil && !lacks {
		return err
	}
	if lacks {
		s.Unknown = append(s.Unknown, "whether a connection was changed after its update is not known: the account lacks "+
			right+", which of FAB's roles only Admin has")
	}
	for i := range s.Connections {
		c := &s.Connections[i]
		if c.PublishedAt == nil {
			continue
		}
		newest := find(events, c.ID)
		if c.unlogged = newest == nil; c.unlogged && !lacks {
			s.Unknown = append(s.Unknown, fmt.Sprintf("whether connection %q was changed after its update is not known: "+
				"Airflow's event log has no entry of the update itself", c.ID))
		} else if newest != nil && newest.When.After(c.updated) {
			c.Changed = &Change{newest.When, newest.Owner, newest.Event}
		}
	}
	return nil
}

// find returns the first of the events that concerns a connection, or nil.
func find(events []airflowclient.ConnectionEvent, id string) *airflowclient.ConnectionEvent {
	for _, e := range events {
		if e.Concerns(id) {
			return &e
		}
	}
	return nil
}

// readConnections compares the connections with what their updates left.
func (s *Status) readConnections(ctx context.Context, airflow Airflow) error {
	var ids []string
	for _, c := range s.Connections {
		ids = append(ids, c.ID)
	}
	found, failed := airflow.ConnectionsByID(ctx, ids)
	for i := range s.Connections {
		c, err := &s.Connections[i], failed[s.Connections[i].ID]
		right, lacks := lacking(err)
		switch {
		case errors.Is(err, airflowclient.ErrNotFound):
			c.Stored = Deleted
		case lacks:
			s.Unknown = append(s.Unknown, "whether a connection was deleted, or has another host or login or no "+
				"password, is not known: the account lacks "+right+" (FAB), or the role Op (SimpleAuthManager)")
			return nil
		case err != nil:
			return fmt.Errorf("read connection %q: %w", c.ID, err)
		case c.PublishedAt != nil:
			c.Stored = c.compare(found[c.ID])
		}
	}
	return nil
}

func (c Connection) compare(stored airflowclient.Connection) State {
	switch {
	case stored.Password == nil:
		return NoPassword
	case registry.Host(stored.Host) != registry.Host(*c.RegistryURL):
		return OtherHost
	case stored.Login != c.login:
		return OtherLogin
	}
	return AsUpdated
}

// lacking returns the right that a call lacked.
func lacking(err error) (right string, lacks bool) {
	var e *airflowclient.Error
	if errors.As(err, &e) && e.Kind == airflowclient.Forbidden {
		return e.Right + " on " + e.Object, true
	}
	return "", false
}
