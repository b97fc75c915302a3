# What is connected to what, for a graph of six layers. Applied to the mock once, so that references can be
# compared; the other runs plan over that state.

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
  output_buckets    = ["processed-bucket"]
  bigtable_instance = "graphs"
  verify_cluster    = "graphs-west"
  image             = "registry.example/ingest:0123456789ab"
  alert_emails      = ["a@example.org"]
}

# The state of this run is what tests/terraform reads too.
run "all" {
  assert {
    condition     = toset(keys(google_pubsub_topic.layer)) == toset(["2", "3", "4", "5", "6"])
    error_message = "there must be a topic for each layer from 2 to the root"
  }
  assert {
    condition     = alltrue([for key, topic in google_pubsub_topic.layer : topic.name == "chunkedgraph-ingest-l${key}"])
    error_message = "topics are not named as the code names them"
  }
  assert {
    condition = alltrue([
      for key, its in google_pubsub_subscription.layer :
      its.name == "chunkedgraph-ingest-l${key}" && its.topic == google_pubsub_topic.layer[key].id
    ]) && length(google_pubsub_subscription.layer) == 5
    error_message = "each layer's subscription must have the name of its topic, and receive from it"
  }
}

run "what_takes_a_while_is_waited_for" {
  command = plan
  assert {
    condition     = time_sleep.apis.create_duration == "60s" && time_sleep.apis.triggers.apis == join(" ", sort(keys(google_project_service.api)))
    error_message = "a service is refused right after it was switched on, one that is added later as well"
  }
  assert {
    condition = (
      time_sleep.build_grants.create_duration == "180s"
      && time_sleep.build_grants.triggers.account == google_storage_bucket_iam_member.build_source.member
      && time_sleep.build_grants.triggers.account == google_artifact_registry_repository_iam_member.build_writes.member
      && time_sleep.build_grants.triggers.bucket == google_storage_bucket_iam_member.build_source.bucket
      && time_sleep.build_grants.triggers.images == google_artifact_registry_repository.images.id
    )
    error_message = "builds must wait for the grants that they need"
  }
  assert {
    condition = (
      time_sleep.dispatch_grants.create_duration == "180s"
      && time_sleep.dispatch_grants.triggers.caller == google_cloud_run_v2_service_iam_member.scheduler_dispatch.member
      && time_sleep.dispatch_grants.triggers.function == google_cloudfunctions2_function.dispatch.id
    )
    error_message = "the scheduler's first calls must not be refused"
  }
}

run "queues_outlive_a_run_of_weeks" {
  command = plan
  assert {
    condition = alltrue([
      for its in concat(values(google_pubsub_subscription.layer), [google_pubsub_subscription.dead, google_pubsub_subscription.dead_push]) :
      its.message_retention_duration == "2678400s" && its.expiration_policy[0].ttl == "" && its.ack_deadline_seconds == 60
    ])
    error_message = "subscriptions must keep messages for 31 days, never expire, and lease for 60 seconds"
  }
  assert {
    condition = alltrue([
      for its in concat(values(google_pubsub_subscription.layer), [google_pubsub_subscription.dead_push]) :
      its.retry_policy[0].minimum_backoff == "10s" && its.retry_policy[0].maximum_backoff == "600s"
    ])
    error_message = "what fails must come again after a while, not at once"
  }
}

run "dead_letters_are_wired_and_granted_for_every_layer" {
  command = plan
  assert {
    condition = alltrue([
      for its in values(google_pubsub_subscription.layer) :
      its.dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.dead.id && its.dead_letter_policy[0].max_delivery_attempts == 50
    ])
    error_message = "a layer's undeliverable messages do not go to the dead letters after 50 attempts"
  }
  assert {
    condition = (
      google_pubsub_topic_iam_member.agent_dead.topic == "chunkedgraph-ingest-dead"
      && google_pubsub_topic_iam_member.agent_dead.role == "roles/pubsub.publisher"
      && google_pubsub_topic_iam_member.agent_dead.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    )
    error_message = "Pub/Sub's own account must be able to publish dead letters"
  }
  assert {
    condition = alltrue([
      for key in ["2", "3", "4", "5", "6"] :
      google_pubsub_subscription_iam_member.agent_layer[key].subscription == google_pubsub_subscription.layer[key].name
      && google_pubsub_subscription_iam_member.agent_layer[key].role == "roles/pubsub.subscriber"
      && google_pubsub_subscription_iam_member.agent_layer[key].member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    ])
    error_message = "Pub/Sub's own account must be able to take undeliverable messages out of each layer's subscription"
  }
  assert {
    condition     = alltrue([for key in ["2", "3", "4", "5", "6"] : google_pubsub_topic_iam_member.worker_dead[key].topic == google_pubsub_topic.dead.name])
    error_message = "each layer's workers must be able to publish dead letters"
  }
}

run "dead_letters_have_two_subscriptions" {
  command = plan
  assert {
    condition = (
      google_pubsub_subscription.dead.name == "chunkedgraph-ingest-dead"
      && google_pubsub_subscription.dead.topic == google_pubsub_topic.dead.id
      && length(google_pubsub_subscription.dead.push_config) == 0
    )
    error_message = "one for commands to pull from"
  }
  assert {
    condition = (
      google_pubsub_subscription.dead_push.name == "chunkedgraph-ingest-dead-push"
      && google_pubsub_subscription.dead_push.topic == google_pubsub_topic.dead.id
      && google_pubsub_subscription.dead_push.push_config[0].push_endpoint == google_cloudfunctions2_function.dead_letter.service_config[0].uri
    )
    error_message = "one that pushes to the function dead_letter"
  }
  assert {
    condition = (
      google_pubsub_subscription.dead_push.push_config[0].oidc_token[0].service_account_email == "chunkedgraph-ingest-push@any-project.iam.gserviceaccount.com"
      && google_cloud_run_v2_service_iam_member.push_dead_letter.member == "serviceAccount:chunkedgraph-ingest-push@any-project.iam.gserviceaccount.com"
      && google_cloud_run_v2_service_iam_member.push_dead_letter.name == google_cloudfunctions2_function.dead_letter.name
      && google_cloud_run_v2_service_iam_member.push_dead_letter.role == "roles/run.invoker"
    )
    error_message = "the account that pushes must be the one that may call the function"
  }
}

run "each_job_has_its_own_subscription_and_only_that" {
  command = plan
  assert {
    condition     = toset(keys(google_cloud_run_v2_job.layer)) == toset(["2", "3", "4", "5", "6"])
    error_message = "there must be a job for each layer"
  }
  assert {
    condition = alltrue([
      for key, job in google_cloud_run_v2_job.layer :
      job.name == "chunkedgraph-ingest-l${key}"
      && slice(job.template[0].template[0].containers[0].args, 0, 2) == tolist(["--layers", key])
      && job.template[0].template[0].service_account == "chunkedgraph-ingest-l${key}@any-project.iam.gserviceaccount.com"
    ])
    error_message = "a job must work on its own layer, in the name of that layer's account"
  }
  assert {
    condition     = length(distinct([for job in values(google_cloud_run_v2_job.layer) : job.template[0].template[0].service_account])) == 5
    error_message = "two jobs have the same account"
  }
  assert {
    condition = alltrue([
      for key in ["2", "3", "4", "5", "6"] :
      google_pubsub_subscription_iam_member.worker_own[key].subscription == "chunkedgraph-ingest-l${key}"
      && google_pubsub_subscription_iam_member.worker_own[key].member == "serviceAccount:chunkedgraph-ingest-l${key}@any-project.iam.gserviceaccount.com"
      && google_pubsub_subscription_iam_member.worker_own[key].role == "roles/pubsub.subscriber"
    ]) && length(google_pubsub_subscription_iam_member.worker_own) == 5
    error_message = "a layer's account must receive from its own subscription, and from no other"
  }
  assert {
    condition = { for key, its in google_pubsub_topic_iam_member.worker_next : key => "${its.topic} ${its.role}" } == {
      "2" = "chunkedgraph-ingest-l3 roles/pubsub.publisher"
      "3" = "chunkedgraph-ingest-l4 roles/pubsub.publisher"
      "4" = "chunkedgraph-ingest-l5 roles/pubsub.publisher"
      "5" = "chunkedgraph-ingest-l6 roles/pubsub.publisher"
    }
    error_message = "workers must queue parents, which are of the next layer; the root has none"
  }
}

run "environment_variables_are_exact" {
  command = plan
  assert {
    condition = alltrue([
      for job in values(google_cloud_run_v2_job.layer) :
      { for env in job.template[0].template[0].containers[0].env : env.name => env.value } == {
        INGEST_PROJECT  = "any-project"
        INGEST_INSTANCE = "graphs"
        # Of the instance, as other prefixes have theirs in it.
        INGEST_VERIFY_PROFILE = "chunkedgraph-ingest-verify"
        INGEST_DATABASE       = "chunkedgraph-ingest"
        INGEST_SCRATCH        = "gs://any-project-chunkedgraph-ingest-scratch"
        INGEST_PREFIX         = "chunkedgraph-ingest"
        # sizes.tftest.hcl looks at the number.
        INGEST_MEMORY_MIB = one([for env in job.template[0].template[0].containers[0].env : env.value if env.name == "INGEST_MEMORY_MIB"])
      }
    ])
    error_message = "not the variables that a worker reads"
  }
  assert {
    condition = alltrue([
      for function in [google_cloudfunctions2_function.dead_letter, google_cloudfunctions2_function.dispatch] :
      function.service_config[0].environment_variables == tomap({
        INGEST_PROJECT  = "any-project"
        INGEST_DATABASE = "chunkedgraph-ingest"
        INGEST_SCRATCH  = "gs://any-project-chunkedgraph-ingest-scratch"
      })
    ])
    error_message = "not the variables that the functions read"
  }
  assert {
    condition     = output.environment.INGEST_SCRATCH == "gs://${google_storage_bucket.scratch.name}" && output.environment.INGEST_DATABASE == google_firestore_database.progress.name
    error_message = "the variables must name what was made"
  }
}

run "verifications_read_one_cluster_at_low_priority" {
  command = plan
  assert {
    condition = (
      one(google_bigtable_app_profile.verify[*].instance) == "graphs"
      && google_bigtable_app_profile.verify[0].app_profile_id == output.environment.INGEST_VERIFY_PROFILE
      && google_bigtable_app_profile.verify[0].single_cluster_routing[0].cluster_id == "graphs-west"
      && google_bigtable_app_profile.verify[0].single_cluster_routing[0].allow_transactional_writes == false
      && google_bigtable_app_profile.verify[0].standard_isolation[0].priority == "PRIORITY_LOW"
      && coalesce(google_bigtable_app_profile.verify[0].multi_cluster_routing_use_any, false) == false
      && length(google_bigtable_app_profile.verify[0].data_boost_isolation_read_only) == 0
    )
    error_message = "verifications must read the cluster that is written to, behind its servers"
  }
  assert {
    condition     = google_bigtable_app_profile.verify[0].ignore_warnings
    error_message = "a profile that was used a short time ago could not be destroyed"
  }
}

run "functions_are_what_they_are_called" {
  command = plan
  assert {
    condition = (
      google_cloudfunctions2_function.dead_letter.build_config[0].entry_point == "dead_letter"
      && google_cloudfunctions2_function.dispatch.build_config[0].entry_point == "dispatch"
      && startswith(google_cloudfunctions2_function.dead_letter.build_config[0].source[0].storage_source[0].object, "functions/dead_letter-")
      && startswith(google_cloudfunctions2_function.dispatch.build_config[0].source[0].storage_source[0].object, "functions/dispatch-")
    )
    error_message = "a function has the source of another"
  }
  assert {
    condition = alltrue([
      for function in [google_cloudfunctions2_function.dead_letter, google_cloudfunctions2_function.dispatch] :
      function.build_config[0].runtime == "python311" && function.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
      && function.build_config[0].service_account == "projects/any-project/serviceAccounts/chunkedgraph-ingest-build@any-project.iam.gserviceaccount.com"
    ])
    error_message = "functions run Python 3.11, are built by the build's account, and are not open to the world"
  }
  assert {
    condition = (
      google_cloudfunctions2_function.dead_letter.service_config[0].service_account_email == "chunkedgraph-ingest-dead@any-project.iam.gserviceaccount.com"
      && google_cloudfunctions2_function.dispatch.service_config[0].service_account_email == "chunkedgraph-ingest-dispatch@any-project.iam.gserviceaccount.com"
    )
    error_message = "each function has its own account"
  }
  assert {
    condition     = google_cloudfunctions2_function.dispatch.service_config[0].max_instance_count == 1 && google_cloudfunctions2_function.dispatch.service_config[0].max_instance_request_concurrency == 1
    error_message = "decisions of dispatch come one after the other"
  }
}

run "dispatch_is_called_each_minute" {
  command = plan
  assert {
    condition = (
      google_cloud_scheduler_job.dispatch.schedule == "* * * * *"
      && google_cloud_scheduler_job.dispatch.http_target[0].http_method == "POST"
      && google_cloud_scheduler_job.dispatch.http_target[0].uri == google_cloudfunctions2_function.dispatch.service_config[0].uri
      && google_cloud_scheduler_job.dispatch.http_target[0].oidc_token[0].audience == google_cloudfunctions2_function.dispatch.service_config[0].uri
      && coalesce(google_cloud_scheduler_job.dispatch.paused, false) == false
    )
    error_message = "the scheduler must call dispatch each minute"
  }
  assert {
    condition = (
      google_cloud_scheduler_job.dispatch.http_target[0].oidc_token[0].service_account_email == "chunkedgraph-ingest-scheduler@any-project.iam.gserviceaccount.com"
      && google_cloud_run_v2_service_iam_member.scheduler_dispatch.member == "serviceAccount:chunkedgraph-ingest-scheduler@any-project.iam.gserviceaccount.com"
      && google_cloud_run_v2_service_iam_member.scheduler_dispatch.name == google_cloudfunctions2_function.dispatch.name
      && google_cloud_run_v2_service_iam_member.scheduler_dispatch.role == "roles/run.invoker"
    )
    error_message = "the account that calls must be the one that may"
  }
  assert {
    condition = alltrue([
      for key in ["2", "3", "4", "5", "6"] :
      google_cloud_run_v2_job_iam_member.dispatch_runs[key].name == "chunkedgraph-ingest-l${key}"
      && google_cloud_run_v2_job_iam_member.dispatch_runs[key].role == "roles/run.jobsExecutorWithOverrides"
      && google_cloud_run_v2_job_iam_member.dispatch_looks[key].name == "chunkedgraph-ingest-l${key}"
      && google_cloud_run_v2_job_iam_member.dispatch_looks[key].role == "roles/run.viewer"
    ])
    error_message = "dispatch must be able to start each job with a number of tasks, and to list its executions"
  }
}

run "nobody_has_the_project" {
  command = plan
  assert {
    condition = alltrue([
      for role in concat(
        [for its in values(google_project_iam_member.worker_progress) : its.role],
        [
          google_project_iam_member.dead_letter_progress.role, google_project_iam_member.dispatch_progress.role,
          google_project_iam_member.build_logs.role, google_project_iam_member.build_reads_functions.role,
        ],
      ) : !can(regex("(?i)(^roles/(owner|editor|viewer)$|admin)", role))
    ])
    error_message = "a role of the whole project is that of an owner, editor or administrator"
  }
  assert {
    condition = alltrue([
      for its in concat(values(google_project_iam_member.worker_progress), [google_project_iam_member.dead_letter_progress, google_project_iam_member.dispatch_progress]) :
      its.condition[0].expression == "resource.name == \"projects/any-project/databases/chunkedgraph-ingest\""
    ])
    error_message = "Firestore's roles can be given for a project only, so a condition must name the one database"
  }
  assert {
    condition = alltrue([
      for its in values(google_bigtable_instance_iam_member.worker_tables) :
      its.instance == "graphs" && its.role == "roles/bigtable.user"
      && its.condition[0].expression == "resource.name == \"projects/any-project/instances/graphs/tables/fly\" || resource.name == \"projects/any-project/instances/graphs/tables/fly_test\""
    ]) && length(google_bigtable_instance_iam_member.worker_tables) == 5
    error_message = "workers must reach the named tables, and no other table of the instance"
  }
  assert {
    condition     = { for key, its in google_storage_bucket_iam_member.worker_input : key => "${its.role} ${its.member}" } == { for bucket in ["edges-bucket", "components-bucket"] : "${bucket} 2" => "roles/storage.objectViewer serviceAccount:chunkedgraph-ingest-l2@any-project.iam.gserviceaccount.com" }
    error_message = "layer 2 must be able to read the inputs, and need not write them"
  }
  assert {
    condition = { for key, its in google_storage_bucket_iam_member.worker_output : key => "${its.bucket} ${its.role} ${its.member}" } == {
      for layer in ["2", "6"] : "processed-bucket ${layer}" => "processed-bucket roles/storage.objectUser serviceAccount:chunkedgraph-ingest-l${layer}@any-project.iam.gserviceaccount.com"
    }
    error_message = "layer 2 must be able to write processed files, and the root's job to note that all are there"
  }
}

run "tasks_take_the_way_that_cloud_run_has" {
  command = plan
  assert {
    condition     = length(google_compute_network.this) == 0 && alltrue([for job in values(google_cloud_run_v2_job.layer) : length(job.template[0].template[0].vpc_access) == 0])
    error_message = "no network is to be made unless private is set"
  }
  assert {
    condition     = length(google_bigtable_instance.this) == 0 && length(google_billing_budget.this) == 0
    error_message = "an instance that exists is taken as it is, and a budget is an option"
  }
}

# A dataset that is a segmentation has layer 1, where its chunks are cut; one with tables layer 0 too. tests/terraform
# reads the state that these two leave as well.
run "a_segmentation" {
  variables {
    lowest_layer = 1
  }
  assert {
    condition = alltrue([for made in [google_pubsub_topic.layer, google_pubsub_subscription.layer, google_cloud_run_v2_job.layer] :
    toset(keys(made)) == toset(["1", "2", "3", "4", "5", "6"])])
    error_message = "there must be a topic, a subscription and a job for the cuts too"
  }
  assert {
    condition     = google_cloud_run_v2_job.layer["1"].name == "chunkedgraph-ingest-l1" && join(" ", google_cloud_run_v2_job.layer["1"].template[0].template[0].containers[0].args) == "--layers 1 --processes 1 --at-once 1"
    error_message = "the job of the cuts works on them alone"
  }
  assert {
    condition     = google_pubsub_topic_iam_member.worker_next["1"].topic == "chunkedgraph-ingest-l2" && { for key, its in google_pubsub_topic_iam_member.worker_feeds : key => "${its.topic} ${its.member}" } == { "2 1" = "chunkedgraph-ingest-l1 serviceAccount:chunkedgraph-ingest-l2@any-project.iam.gserviceaccount.com" }
    error_message = "who cuts queues layer 2, and layer 2 queues the next part of the cuts too"
  }
  assert {
    condition     = contains(keys(google_firestore_field.exempt), "layer2") && contains(keys(google_firestore_field.asked), "layer2.children") && !contains(keys(google_firestore_field.exempt), "layer1")
    error_message = "chunks of layer 2 wait now, so they have records"
  }
  assert {
    condition     = [for fleet in jsondecode(nonsensitive(google_storage_bucket_object.fleets.content)).fleets : fleet.layers[0]] == [1, 2, 3, 4, 5, 6]
    error_message = "dispatch must know of the cuts"
  }
}

run "a_segmentation_with_tables" {
  variables {
    lowest_layer = 0
  }
  assert {
    condition     = keys(google_cloud_run_v2_job.layer) == ["0", "1", "2", "3", "4", "5", "6"] && google_pubsub_topic_iam_member.worker_next["0"].topic == "chunkedgraph-ingest-l1"
    error_message = "there must be a job that sorts tables, and then queues the first of the cuts"
  }
  assert {
    condition     = keys(google_pubsub_topic_iam_member.worker_feeds) == ["0 2", "2 1"] && !contains(keys(google_bigtable_instance_iam_member.worker_tables), "0")
    error_message = "layers up to 2 feed each other's runs; those below it write no rows"
  }
  assert {
    condition     = contains(keys(google_firestore_field.exempt), "layer1")
    error_message = "the first of the cuts waits for the tables"
  }
}
