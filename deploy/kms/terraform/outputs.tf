output "key_arn" {
  description = "For coffer provision --generate --kms-key-id, and for the key ceremony."
  value       = aws_kms_key.coffer.arn
}

output "enclave_role_arn" {
  value = aws_iam_role.enclave.arn
}

output "instance_profile" {
  description = "For the instance that runs the enclave."
  value       = aws_iam_instance_profile.enclave.name
}

output "admin_policy_arn" {
  value = aws_iam_policy.admin.arn
}

output "operator_policy_arn" {
  value = aws_iam_policy.operator.arn
}
