# An alert by cost, where `budget` asks for one. It only tells; nothing is stopped.

variable "budget" {
  description = "An alert by what the project has cost this month; null for none."
  type = object({
    billing_account = string
    amount          = number
    currency        = optional(string)
    thresholds      = optional(set(number), [0.5, 0.9, 1.0])
  })
  default = null
  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "A billing account is like 012345-6789AB-CDEF01; `gcloud billing accounts list` shows yours."
  }
  validation {
    condition     = try(var.budget.amount >= 1 && var.budget.amount == floor(var.budget.amount), var.budget == null)
    error_message = "The amount of a budget is a whole number of the account's currency."
  }
}

resource "google_billing_budget" "this" {
  count           = var.budget == null ? 0 : 1
  provider        = google.billing
  billing_account = var.budget.billing_account
  display_name    = var.prefix

  budget_filter {
    projects        = ["projects/${data.google_project.this.number}"]
    calendar_period = "MONTH"
  }
  amount {
    specified_amount {
      units         = tostring(var.budget.amount)
      currency_code = var.budget.currency
    }
  }
  dynamic "threshold_rules" {
    for_each = sort([for part in var.budget.thresholds : format("%.4f", part)])
    content {
      threshold_percent = tonumber(threshold_rules.value)
      spend_basis       = "CURRENT_SPEND"
    }
  }
  # Without channels of ours, the billing account's administrators get it, as ever.
  dynamic "all_updates_rule" {
    for_each = length(local.channels) > 0 ? [slice(local.channels, 0, min(5, length(local.channels)))] : []
    content {
      monitoring_notification_channels = all_updates_rule.value
    }
  }
  depends_on = [time_sleep.apis]
}
