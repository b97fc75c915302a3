# What is kept, for how long, and who hears when something is wrong; for the same graph as in wiring.

mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "google" {
  alias  = "billing"
  source = "./tests/mocks"
}
mock_provider "time" {}

variables {
  project           = "any-project"
  layers            = 6
  tables            = ["fly", "fly_test"]
  input_buckets     = ["edges-bucket", "components-bucket"]
  bigtable_instance = "graphs"
  image             = "registry.example/ingest:0123456789ab"
  alert_emails      = ["a@example.org"]
}

run "progress_is_indexed_where_it_is_asked_for" {
  assert {
    condition     = toset(keys(google_firestore_field.exempt)) == toset(["layer3", "layer4", "layer5", "layer6", "layer7", "failures", "at_work", "orphans", "active", "slots"])
    error_message = "every collection must be exempt, that of the note above the root too"
  }
  assert {
    condition     = alltrue([for its in values(google_firestore_field.exempt) : its.field == "*" && length(its.index_config) == 1 && length(its.index_config[0].indexes) == 0])
    error_message = "an exemption must be of all fields, with no index"
  }
  assert {
    condition = toset([for its in values(google_firestore_field.asked) : "${its.collection}.${its.field}"]) == toset(flatten([
      for layer in [3, 4, 5, 6, 7] : ["layer${layer}.children", "layer${layer}.seconds", "layer${layer}.published"]
    ]))
    error_message = "progress sums children and seconds, and counts published"
  }
  assert {
    condition = alltrue([
      for its in values(google_firestore_field.asked) :
      [for index in its.index_config[0].indexes : "${index.order} ${index.query_scope}"] == ["ASCENDING COLLECTION"]
    ])
    error_message = "one ascending index a field, of its collection"
  }
  assert {
    condition = (
      google_firestore_database.progress.type == "FIRESTORE_NATIVE" && google_firestore_database.progress.name == "chunkedgraph-ingest"
      && google_firestore_database.progress.deletion_policy == "DELETE"
    )
    error_message = "a named database in native mode, which terraform destroy takes down"
  }
  assert {
    condition     = google_firestore_field.exempt["layer3"].database == google_firestore_database.progress.name && time_sleep.database.triggers.database == google_firestore_database.progress.id && time_sleep.database.create_duration == "60s"
    error_message = "what is asked of a database right after it was made is refused: there must be a pause"
  }
}

run "only_handoffs_are_deleted" {
  command = plan
  assert {
    condition = (
      length(google_storage_bucket.scratch.lifecycle_rule) == 1
      && one(google_storage_bucket.scratch.lifecycle_rule[0].action).type == "Delete"
      && one(google_storage_bucket.scratch.lifecycle_rule[0].condition).matches_suffix == tolist([".handoff"])
      && one(google_storage_bucket.scratch.lifecycle_rule[0].condition).age == 45
    )
    error_message = "the scratch bucket must delete hand-offs, and nothing else: run records are in it too"
  }
  assert {
    condition     = google_storage_bucket.scratch.name == "any-project-chunkedgraph-ingest-scratch" && google_storage_bucket.scratch.public_access_prevention == "enforced"
    error_message = "not the bucket that SCRATCH means, or open to the world"
  }
}

run "what_is_built_refuses_to_go" {
  command = plan
  assert {
    condition     = !google_storage_bucket.scratch.force_destroy && google_firestore_database.progress.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "no change of a variable may take hand-offs, run records or progress with it"
  }
}

run "everything_can_be_taken_down" {
  command = plan
  variables {
    deletion_protection = false
  }
  assert {
    condition     = google_storage_bucket.scratch.force_destroy && google_firestore_database.progress.delete_protection_state == "DELETE_PROTECTION_DISABLED"
    error_message = "terraform destroy must be possible, once it was said that nothing is needed any more"
  }
}

run "alerts_say_what_happens" {
  command = plan
  assert {
    condition = alltrue([
      for policy in [google_monitoring_alert_policy.dead_letters, google_monitoring_alert_policy.no_progress, google_monitoring_alert_policy.dispatch] :
      length(policy.conditions) == 1 && length(policy.conditions[0].condition_prometheus_query_language) == 1
    ])
    error_message = "a policy with a condition in PromQL must have no other condition"
  }
  assert {
    condition = alltrue([
      for policy in [google_monitoring_alert_policy.dead_letters, google_monitoring_alert_policy.no_progress, google_monitoring_alert_policy.dispatch] :
      policy.notification_channels == tolist([google_monitoring_notification_channel.email["a@example.org"].name])
    ])
    error_message = "an alert reaches nobody"
  }
  assert {
    condition = (
      strcontains(google_monitoring_alert_policy.dead_letters.conditions[0].condition_prometheus_query_language[0].query, "subscription_id=\"chunkedgraph-ingest-dead\"}[5m])) > 0 or sum(")
      && strcontains(google_monitoring_alert_policy.dead_letters.conditions[0].condition_prometheus_query_language[0].query, "user_chunkedgraph_ingest_chunks_failed{monitored_resource=\"cloud_run_job\"}[10m])) > 0 or sum(")
      && endswith(google_monitoring_alert_policy.dead_letters.conditions[0].condition_prometheus_query_language[0].query, "user_chunkedgraph_ingest_letters{monitored_resource=\"cloud_run_revision\"}[10m])) > 0")
    )
    error_message = "the first dead letter must raise an alert"
  }
  assert {
    condition     = google_monitoring_alert_policy.no_progress.conditions[0].condition_prometheus_query_language[0].query == "sum(min_over_time(pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"chunkedgraph-ingest-l[0-9]+\"}[30m])) > 0 unless on() sum(increase(logging_googleapis_com:user_chunkedgraph_ingest_chunks_done{monitored_resource=\"cloud_run_job\"}[30m])) > 0"
    error_message = "half an hour in which messages waited and no chunk was done must raise an alert"
  }
  assert {
    condition = (
      strcontains(google_logging_metric.dispatch_failed.filter, "resource.labels.job_id=\"chunkedgraph-ingest-dispatch\"")
      && strcontains(google_logging_metric.dispatch_failed.filter, "severity>=ERROR")
      && strcontains(google_monitoring_alert_policy.dispatch.conditions[0].condition_prometheus_query_language[0].query, "user_chunkedgraph_ingest_dispatch_failed{monitored_resource=\"cloud_scheduler_job\"}[10m])) >= 3 or sum(")
      && endswith(google_monitoring_alert_policy.dispatch.conditions[0].condition_prometheus_query_language[0].query, "service_name=\"chunkedgraph-ingest-dispatch\",response_code_class=\"5xx\"}[10m])) >= 3")
    )
    error_message = "a dispatch that fails must raise an alert"
  }
}
