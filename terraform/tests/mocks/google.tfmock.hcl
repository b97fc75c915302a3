# What the mocked provider answers where the form matters; other computed values are random strings.

mock_data "google_project" {
  defaults = { number = "123456789012" }
}
