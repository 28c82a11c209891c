*** Settings ***
Documentation       What the terms say of some instants; nothing is recorded.
Library             automation_rules.robot
Suite Setup         Open Gate
Suite Teardown      Close Gate


*** Variables ***
${ACCOUNT}          acme-1


*** Test Cases ***
Weekdays From Eight To Six
    Automation Should Be Allowed    ${ACCOUNT}    sign_in    at=2026-06-02T08:00:00+01:00
    Automation Should Be Denied    ${ACCOUNT}    sign_in    at=2026-06-02T18:00:00+01:00
    ...    code=outside_hours

No To-do Begins That Could End After Closing
    Automation Should Be Denied    ${ACCOUNT}    sign_in    at=2026-06-02T17:57:30+01:00
    ...    expected_duration=2 minutes    code=insufficient_time_left

Weekends Are For The Annual Rent Change
    ${denied}=    Automation Should Be Denied    ${ACCOUNT}    sign_in    code=weekend
    ...    at=2026-06-06T09:00:00+01:00
    Should Be Equal    ${denied}[context][retry_after]    2026-06-08T08:00:00+01:00
    Automation Should Be Allowed    ${ACCOUNT}    sign_in    at=2026-04-11T09:00:00+01:00
    ...    todo_kind=confirm_housing_costs

Other Functions Of The Portal Are A Person's
    FOR    ${action}    IN    request_apa    view_payments    change_roles
        Automation Should Be Denied    ${ACCOUNT}    ${action}    code=other_portal_function
        ...    at=2026-06-02T09:00:00+01:00
    END
