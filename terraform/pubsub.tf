# The queue: a topic and a pull subscription a layer; dead letters with a pull and a push subscription.
# Nothing here ever expires: a run may be paused for longer than the month that messages are kept.

locals {
  retention = "${floor(86400 * var.retention_days)}s"
}

resource "google_pubsub_topic" "layer" {
  #checkov:skip=CKV_GCP_83:Messages are coordinates of chunks; Google's own keys encrypt them
  for_each   = local.layers
  name       = "${var.prefix}-l${each.key}"
  depends_on = [time_sleep.apis]
}

resource "google_pubsub_subscription" "layer" {
  for_each                   = local.layers
  name                       = google_pubsub_topic.layer[each.key].name
  topic                      = google_pubsub_topic.layer[each.key].id
  ack_deadline_seconds       = 60 # a worker extends it for as long as it builds
  message_retention_duration = local.retention
  expiration_policy {
    ttl = ""
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
  # The net below the worker's own limit of attempts; killed workers count here, so it is set well above.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead.id
    max_delivery_attempts = 50
  }
  # Without these grants Pub/Sub drops the policy silently and delivers for ever.
  depends_on = [google_pubsub_topic_iam_member.agent_dead]
}

resource "google_pubsub_topic" "dead" {
  #checkov:skip=CKV_GCP_83:Letters are coordinates of chunks and reasons of failures; Google's own keys encrypt them
  name       = "${var.prefix}-dead"
  depends_on = [time_sleep.apis]
}

resource "google_pubsub_subscription" "dead" {
  name                       = google_pubsub_topic.dead.name
  topic                      = google_pubsub_topic.dead.id
  ack_deadline_seconds       = 60
  message_retention_duration = local.retention
  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "dead_push" {
  name                       = "${var.prefix}-dead-push"
  topic                      = google_pubsub_topic.dead.id
  ack_deadline_seconds       = 60
  message_retention_duration = local.retention
  expiration_policy {
    ttl = ""
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
  push_config {
    push_endpoint = google_cloudfunctions2_function.dead_letter.service_config[0].uri
    oidc_token {
      service_account_email = trimprefix(local.push, "serviceAccount:")
      audience              = google_cloudfunctions2_function.dead_letter.service_config[0].uri
    }
  }
  depends_on = [
    google_service_account_iam_member.agent_push,
    google_cloud_run_v2_service_iam_member.push_dead_letter,
  ]
}

# ---- who may ----

resource "google_pubsub_subscription_iam_member" "worker_own" {
  for_each     = local.layers
  subscription = google_pubsub_subscription.layer[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.workers[each.key]
}

# A worker queues the parents that became ready: those of the next layer. The root has none.
resource "google_pubsub_topic_iam_member" "worker_next" {
  for_each = { for key, layer in local.layers : key => tostring(layer + 1) if layer < var.layers }
  topic    = google_pubsub_topic.layer[each.value].name
  role     = "roles/pubsub.publisher"
  member   = local.workers[each.key]
}

# And to its own layer: the next part of a run, and what waited so often that its deliveries would run out.
resource "google_pubsub_topic_iam_member" "worker_again" {
  for_each = local.layers
  topic    = google_pubsub_topic.layer[each.key].name
  role     = "roles/pubsub.publisher"
  member   = local.workers[each.key]
}

# Whoever works on layer 2 or below queues the next part of every run, also of one whose parts are of another layer.
resource "google_pubsub_topic_iam_member" "worker_feeds" {
  for_each = {
    for pair in setproduct([for key, layer in local.layers : key if layer <= 2], local.fed) :
    "${pair[0]} ${pair[1]}" => { layer = pair[0], topic = pair[1] }
    if !contains([pair[0], tostring(tonumber(pair[0]) + 1)], pair[1])
  }
  topic  = google_pubsub_topic.layer[each.value.topic].name
  role   = "roles/pubsub.publisher"
  member = local.workers[each.value.layer]
}

resource "google_pubsub_topic_iam_member" "worker_dead" {
  for_each = local.layers
  topic    = google_pubsub_topic.dead.name
  role     = "roles/pubsub.publisher"
  member   = local.workers[each.key]
}

# To forward a dead letter, Pub/Sub's own account publishes it and acknowledges it where it came from. The
# account is there once Pub/Sub is used, hence after the topics.
resource "google_pubsub_topic_iam_member" "agent_dead" {
  topic      = google_pubsub_topic.dead.name
  role       = "roles/pubsub.publisher"
  member     = local.pubsub_agent
  depends_on = [google_pubsub_topic.layer]
}

resource "google_pubsub_subscription_iam_member" "agent_layer" {
  for_each     = local.layers
  subscription = google_pubsub_subscription.layer[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# Projects from before April 2021 need this for tokens of push subscriptions; later ones have it by default.
resource "google_service_account_iam_member" "agent_push" {
  service_account_id = "projects/${var.project}/serviceAccounts/${trimprefix(local.push, "serviceAccount:")}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
  depends_on         = [google_pubsub_topic.dead]
}
