# Machines and numbers of tasks: the curve, what overrides it, and what dispatch is told of it.

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
  layers            = 8
  tables            = ["fly"]
  bigtable_instance = "graphs"
  image             = "registry.example/ingest:0123456789ab"
}

run "the_curve" {
  command = plan
  assert {
    condition = { for key, job in google_cloud_run_v2_job.layer : key => "${job.template[0].template[0].containers[0].resources[0].limits.cpu} ${job.template[0].template[0].containers[0].resources[0].limits.memory}" } == {
      "2" = "1 2048Mi", "3" = "1 4096Mi", "4" = "2 8192Mi", "5" = "4 16384Mi", "6" = "8 32768Mi", "7" = "8 32768Mi", "8" = "8 32768Mi"
    }
    error_message = "memory must double from 2 GiB with each layer up to 32, on the fewest CPUs that Cloud Run allows for it"
  }
  assert {
    condition     = [for fleet in local.fleets : fleet.max] == [500, 125, 32, 8, 2, 1, 1] && [for fleet in local.fleets : fleet.start] == [10, 10, 10, 8, 2, 1, 1]
    error_message = "a layer must have a quarter of the tasks of the one below, at least one, and start with no more than it may have"
  }
  assert {
    condition = alltrue([
      for job in values(google_cloud_run_v2_job.layer) :
      job.template[0].template[0].timeout == "86400s" && job.template[0].template[0].max_retries == 3
    ])
    error_message = "a task must have a day and three retries"
  }
}

run "a_worker_has_the_memory_of_the_curve" {
  command = plan
  assert {
    condition = { for key, job in google_cloud_run_v2_job.layer : key => join(" ", job.template[0].template[0].containers[0].args) } == {
      "2" = "--layers 2 --processes 1 --at-once 1", "3" = "--layers 3 --processes 1 --at-once 1", "4" = "--layers 4 --processes 1 --at-once 1", "5" = "--layers 5 --processes 1 --at-once 1"
      "6" = "--layers 6 --processes 1 --at-once 1", "7" = "--layers 7 --processes 1 --at-once 1", "8" = "--layers 8 --processes 1 --at-once 1"
    }
    error_message = "CPUs that come with the memory must not be so many workers that share it"
  }
  assert {
    condition = { for key, job in google_cloud_run_v2_job.layer : key => one([for env in job.template[0].template[0].containers[0].env : env.value if env.name == "INGEST_MEMORY_MIB"]) } == {
      "2" = "1843", "3" = "3686", "4" = "7372", "5" = "14745", "6" = "29491", "7" = "29491", "8" = "29491"
    }
    error_message = "a worker must be told its share: nine tenths of the task's memory"
  }
}

run "the_plan_knows_better" {
  command = plan
  variables {
    layer_memory_gib = { "2" = 1.5, "3" = 10, "4" = 0.5, "8" = 32 }
    by_layer         = { "3" = { memory_gib = 20 } }
  }
  assert {
    condition = { for fleet in local.fleets : fleet.layers[0] => "${fleet.cpu} ${fleet.memory_gib}" } == {
      "2" = "1 1.5", "3" = "6 20", "4" = "1 1", "5" = "4 16", "6" = "8 32", "7" = "8 32", "8" = "8 32"
    }
    error_message = "memory must be what is given for the layer, or else what the plan says but 1 GiB at least, or else the curve's"
  }
}

run "the_table_takes_so_many_tasks" {
  command = plan
  variables {
    layer_tasks = { "2" = 40, "3" = 6, "4" = 9 }
    by_layer    = { "4" = { max = 50 } }
  }
  assert {
    condition     = [for fleet in local.fleets : [fleet.start, fleet.max]] == [[10, 40], [6, 6], [10, 50], [8, 8], [2, 2], [1, 1], [1, 1]]
    error_message = "a layer's tasks must be those that are given for it, or else those of the plan, or else the curve's"
  }
}

run "overrides" {
  command = plan
  variables {
    machine       = { memory_gib = 1, growth = 3, max_memory_gib = 20 }
    fleet         = { start = 4, factor = 3, period = 120, max = 2000, fall = 8 }
    task          = { timeout_hours = 6, max_retries = 0 }
    layer_at_once = { "2" = 8, "3" = 4, "6" = 8 }
    by_layer = {
      "6" = { at_once = 3 }
      "2" = { cpu = 2 }
      "4" = { processes = 2 }
      "3" = { memory_gib = 12, max = 50, start = 50 }
      "5" = { cpu = 6, memory_gib = 24, factor = 1.5, period = 600, timeout_hours = 0.5, max_retries = 10 }
    }
  }
  assert {
    condition = { for key, job in google_cloud_run_v2_job.layer : key => "${job.template[0].template[0].containers[0].resources[0].limits.cpu} ${job.template[0].template[0].containers[0].resources[0].limits.memory}" } == {
      "2" = "2 1024Mi", "3" = "4 12288Mi", "4" = "4 9216Mi", "5" = "6 24576Mi", "6" = "6 20480Mi", "7" = "6 20480Mi", "8" = "6 20480Mi"
    }
    error_message = "an override must be taken as it is, the rest from the curve"
  }
  assert {
    condition = { for key, job in google_cloud_run_v2_job.layer : key => join(" ", job.template[0].template[0].containers[0].args) if contains(["2", "3", "4", "5", "6"], key) } == {
      "2" = "--layers 2 --processes 2 --at-once 1", "3" = "--layers 3 --processes 1 --at-once 4", "4" = "--layers 4 --processes 2 --at-once 1", "5" = "--layers 5 --processes 6 --at-once 1", "6" = "--layers 6 --processes 1 --at-once 3"
    }
    error_message = "CPUs that are asked for must be so many workers, unless their number is given; chunks under way are the plan's where there is one worker"
  }
  assert {
    condition = { for key, job in google_cloud_run_v2_job.layer : key => one([for env in job.template[0].template[0].containers[0].env : env.value if env.name == "INGEST_MEMORY_MIB"]) if contains(["2", "4", "5"], key) } == {
      "2" = "460", "4" = "4147", "5" = "3686"
    }
    error_message = "workers that share a task must share its memory"
  }
  assert {
    condition     = { for key, job in google_cloud_run_v2_job.layer : key => "${job.template[0].template[0].timeout} ${job.template[0].template[0].max_retries}" } == { for key in ["2", "3", "4", "5", "6", "7", "8"] : key => key == "5" ? "1800s 10" : "21600s 0" }
    error_message = "timeout and retries must be those given, and a layer's own where it has them"
  }
  assert {
    condition     = [for fleet in local.fleets : [fleet.start, fleet.factor, fleet.period, fleet.max]] == [[4, 3, 120, 2000], [50, 3, 120, 50], [4, 3, 120, 32], [4, 1.5, 600, 4], [1, 3, 120, 1], [1, 3, 120, 1], [1, 3, 120, 1]]
    error_message = "numbers of tasks must be those given, and a layer's own where it has them"
  }
}

run "dispatch_is_told" {
  command = plan
  assert {
    condition     = google_storage_bucket_object.fleets.name == "fleets.json" && google_storage_bucket_object.fleets.bucket == google_storage_bucket.scratch.name
    error_message = "fleets.json must be at the top of the scratch bucket"
  }
  assert {
    condition = jsondecode(nonsensitive(google_storage_bucket_object.fleets.content)).fleets[1] == {
      job   = "projects/any-project/locations/us-central1/jobs/chunkedgraph-ingest-l3", layers = [3]
      start = 10, factor = 2, period = 300, max = 125, cpu = 1, memory_gib = 4
    }
    error_message = "not what dispatch reads of a layer"
  }
  assert {
    condition = [for fleet in jsondecode(nonsensitive(google_storage_bucket_object.fleets.content)).fleets : fleet.job] == [
      for layer in range(2, 9) : "projects/any-project/locations/${google_cloud_run_v2_job.layer[tostring(layer)].location}/jobs/${google_cloud_run_v2_job.layer[tostring(layer)].name}"
    ]
    error_message = "fleets.json must name the jobs that there are, from layer 2 on"
  }
}

run "layers_below_the_graph" {
  command = plan
  variables {
    lowest_layer     = 0
    layers           = 3
    layer_memory_gib = { "1" = 2.5 }
    layer_tasks      = { "0" = 7 }
    by_layer         = { "1" = { max = 300 } }
  }
  assert {
    condition     = { for fleet in local.fleets : fleet.layers[0] => "${fleet.memory_gib} ${fleet.max}" } == { "0" = "2 7", "1" = "2.5 300", "2" = "2 500", "3" = "4 125" }
    error_message = "layers below 2 must have no more than layer 2, but for what the plan or an override says"
  }
}

run "two_digits" {
  command = plan
  variables {
    layers = 12
  }
  assert {
    condition     = [for fleet in local.fleets : fleet.layers[0]] == [for layer in range(2, 13) : layer] && google_cloud_run_v2_job.layer["10"].name == "chunkedgraph-ingest-l10"
    error_message = "layers must be in the order of numbers, not of texts"
  }
}

run "one_layer" {
  command = plan
  variables {
    layers = 2
  }
  assert {
    condition     = length(google_cloud_run_v2_job.layer) == 1 && length(google_pubsub_topic_iam_member.worker_next) == 0 && contains(keys(google_firestore_field.exempt), "layer3")
    error_message = "a graph of one chunk has one job, which queues nothing"
  }
}
