package airflowclient

import (
	"context"
	"net/http"
	"time"
)

// Version is Airflow's release, and its clock.
type Version struct {
	Version string
	Date    time.Time // when Airflow answered, by its own clock; zero where it did not say
}

// Version returns the release, without a login.
func (c *Client) Version(ctx context.Context) (Version, error) {
	a, err := c.exchange(ctx, "")(NewGetVersionRequest(c.server))
	if err != nil {
		return Version{}, err
	}
	var info VersionInfo
	if err := c.decode(a, &info); err != nil {
		return Version{}, err
	}
	date, _ := http.ParseTime(a.Header.Get("Date")) // zero for none
	return Version{Version: line(info.Version), Date: date}, nil
}
