# What is made only when it is asked for: the private network, the Bigtable instance, the budget, other names.

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
  layers            = 4
  tables            = ["fly"]
  bigtable_instance = "graphs"
  image             = "registry.example/ingest:0123456789ab"
}

run "private_mode_has_no_external_address" {
  variables {
    private = true
  }
  assert {
    condition = alltrue([
      for job in values(google_cloud_run_v2_job.layer) :
      job.template[0].template[0].vpc_access[0].egress == "ALL_TRAFFIC"
      && job.template[0].template[0].vpc_access[0].network_interfaces[0].subnetwork == google_compute_subnetwork.this[0].id
      && coalesce(job.template[0].template[0].vpc_access[0].connector, "none") == "none"
    ])
    error_message = "all traffic of every task must go through the subnet"
  }
  assert {
    condition = (
      google_compute_subnetwork.this[0].private_ip_google_access
      && google_compute_subnetwork.this[0].network == google_compute_network.this[0].id
      && google_compute_network.this[0].auto_create_subnetworks == false
      && google_compute_subnetwork.this[0].stack_type == "IPV4_ONLY"
      && google_compute_subnetwork.this[0].region == google_cloud_run_v2_job.layer["2"].location
    )
    error_message = "the subnet must reach Google's services from private addresses"
  }
  assert {
    condition     = contains(keys(google_project_service.api), "compute")
    error_message = "a network needs the API of Compute Engine"
  }
}

run "a_subnet_that_is_too_small" {
  command = plan
  variables {
    private      = true
    subnet_range = "10.0.0.0/24"
  }
  expect_failures = [google_compute_subnetwork.this]
}

run "an_instance_is_created" {
  variables {
    bigtable_cluster = { zone = "us-central1-b", max_nodes = 20 }
  }
  assert {
    condition = (
      google_bigtable_instance.this[0].name == "graphs" && google_bigtable_instance.this[0].deletion_protection
      && one(google_bigtable_instance.this[0].cluster[*].cluster_id) == "graphs-c1"
      && one(google_bigtable_instance.this[0].cluster[*].autoscaling_config[0].min_nodes) == 3
      && one(google_bigtable_instance.this[0].cluster[*].autoscaling_config[0].max_nodes) == 20
      && one(google_bigtable_instance.this[0].cluster[*].zone) == "us-central1-b"
    )
    error_message = "not the instance asked for"
  }
  assert {
    condition = (
      google_bigtable_instance_iam_member.worker_tables["2"].instance == "graphs"
      && output.environment.INGEST_INSTANCE == "graphs"
      && strcontains(google_bigtable_instance_iam_member.worker_tables["2"].condition[0].expression, "/instances/graphs/tables/fly\"")
    )
    error_message = "workers must use the instance that was created"
  }
  assert {
    condition = (
      google_bigtable_app_profile.verify[0].instance == "graphs"
      && google_bigtable_app_profile.verify[0].single_cluster_routing[0].cluster_id == one(google_bigtable_instance.this[0].cluster[*].cluster_id)
      && output.environment.INGEST_VERIFY_PROFILE == "chunkedgraph-ingest-verify"
    )
    error_message = "verifications must read the one cluster that was created"
  }
}

run "a_run_has_thirty_nodes" {
  command = plan
  variables {
    bigtable_cluster = { zone = "us-central1-b", deletion_protection = false }
  }
  assert {
    condition     = one(google_bigtable_instance.this[0].cluster[*].autoscaling_config[0].max_nodes) == 30 && !google_bigtable_instance.this[0].deletion_protection
    error_message = "thirty nodes cost a run what ten do, and take a third of the time"
  }
}

run "a_table_at_rest_has_one_node" {
  command = plan
  variables {
    bigtable_instance = "graphs-of-a-lab-with-a-long-name9"
    bigtable_cluster  = { zone = "us-central1-b", min_nodes = 1 }
  }
  assert {
    condition     = one(google_bigtable_instance.this[0].cluster[*].autoscaling_config[0].min_nodes) == 1 && one(google_bigtable_instance.this[0].cluster[*].autoscaling_config[0].max_nodes) == 10
    error_message = "max_nodes must follow min_nodes: Bigtable takes ten times that at most"
  }
  assert {
    condition     = alltrue([for name in [google_bigtable_instance.this[0].display_name, one(google_bigtable_instance.this[0].cluster[*].cluster_id)] : length(name) == 30])
    error_message = "a cluster's id and a display name have room for 30 characters"
  }
}

run "a_cluster_that_is_not_known" {
  command = plan
  assert {
    condition     = length(google_bigtable_app_profile.verify) == 0 && !contains(keys(output.environment), "INGEST_VERIFY_PROFILE")
    error_message = "of an instance that exists nothing is guessed"
  }
}

run "a_cluster_beside_the_one_that_is_created" {
  command = plan
  variables {
    bigtable_cluster = { zone = "us-central1-b" }
    verify_cluster   = "graphs-c2"
  }
  expect_failures = [google_bigtable_app_profile.verify]
}

run "no_instance_at_all" {
  command = plan
  variables {
    bigtable_instance = null
  }
  expect_failures = [var.bigtable_instance]
}

run "an_instance_to_create_has_a_name_too" {
  command = plan
  variables {
    bigtable_instance = null
    bigtable_cluster  = { zone = "us-central1-b" }
  }
  expect_failures = [var.bigtable_instance]
}

run "no_image_was_built" {
  command = plan
  variables {
    image = null
  }
  expect_failures = [google_cloud_run_v2_job.layer]
}

run "a_budget" {
  variables {
    budget         = { billing_account = "012345-6789AB-CDEF01", amount = 5000, currency = "EUR" }
    alert_channels = ["projects/any-project/notificationChannels/1"]
  }
  assert {
    condition = (
      google_billing_budget.this[0].budget_filter[0].projects == toset(["projects/123456789012"])
      && google_billing_budget.this[0].amount[0].specified_amount[0].units == "5000"
      && [for rule in google_billing_budget.this[0].threshold_rules : rule.threshold_percent] == [0.5, 0.9, 1]
      && google_billing_budget.this[0].all_updates_rule[0].monitoring_notification_channels == tolist(["projects/any-project/notificationChannels/1"])
    )
    error_message = "the budget must be that of this project, and tell those who hear of alerts"
  }
  assert {
    condition     = contains(keys(google_project_service.api), "billingbudgets")
    error_message = "a budget needs its API"
  }
}

run "volumes_of_others" {
  command = plan
  variables {
    lowest_layer    = 1
    input_buckets   = ["theirs"]
    output_buckets  = ["theirs"]
    foreign_buckets = ["theirs"]
  }
  assert {
    condition     = join(",", output.readers) == "serviceAccount:chunkedgraph-ingest-l1@any-project.iam.gserviceaccount.com" && join(",", output.writers) == join(",", [for layer in [1, 2, 4] : "serviceAccount:chunkedgraph-ingest-l${layer}@any-project.iam.gserviceaccount.com"])
    error_message = "it must be said who reads the volumes, and who writes what stands beside the table"
  }
}

run "other_names" {
  variables {
    prefix          = "second-lab"
    database        = "second-progress"
    region          = "europe-west1"
    image           = "europe-west1-docker.pkg.dev/any-project/second-lab/ingest@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    input_buckets   = ["ours", "theirs"]
    output_buckets  = ["results", "theirs"]
    foreign_buckets = ["theirs"]
    retention_days  = 14
    handoff_days    = 60
  }
  assert {
    condition = { for env in google_cloud_run_v2_job.layer["2"].template[0].template[0].containers[0].env : env.name => env.value } == {
      INGEST_PROJECT = "any-project", INGEST_INSTANCE = "graphs", INGEST_DATABASE = "second-progress", INGEST_SCRATCH = "gs://any-project-second-lab-scratch", INGEST_PREFIX = "second-lab", INGEST_MEMORY_MIB = "1843"
    }
    error_message = "names must follow the prefix"
  }
  assert {
    condition     = google_cloud_run_v2_job.layer["2"].template[0].template[0].containers[0].image == "europe-west1-docker.pkg.dev/any-project/second-lab/ingest@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    error_message = "an image that is given must be the one that runs"
  }
  assert {
    condition     = output.image == google_cloud_run_v2_job.layer["2"].template[0].template[0].containers[0].image && output.region == "europe-west1" && google_storage_bucket.scratch.location == "europe-west1" && google_firestore_database.progress.location_id == "europe-west1"
    error_message = "everything must be in the region that is given"
  }
  assert {
    condition     = join(",", keys(google_storage_bucket_iam_member.worker_input)) == "ours 2" && join(",", output.readers) == "serviceAccount:second-lab-l2@any-project.iam.gserviceaccount.com"
    error_message = "in buckets of others nothing can be granted, so it must be said who needs to read"
  }
  assert {
    condition     = toset([for its in google_storage_bucket_iam_member.worker_output : its.bucket]) == toset(["results"]) && output.writers[0] == "serviceAccount:second-lab-l2@any-project.iam.gserviceaccount.com"
    error_message = "nor to write, so it must be said who needs that"
  }
  assert {
    condition     = google_pubsub_subscription.layer["3"].message_retention_duration == "1209600s" && one(google_storage_bucket.scratch.lifecycle_rule[0].condition).age == 60
    error_message = "not the days asked for"
  }
  assert {
    condition     = strcontains(output.next_steps, "make ingest DATASET=… PROJECT=any-project INSTANCE=graphs PREFIX=second-lab DATABASE=second-progress") && strcontains(output.next_steps, "make image PROJECT=any-project REGION=europe-west1")
    error_message = "the next commands must be complete"
  }
}
