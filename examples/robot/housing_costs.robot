*** Settings ***
Documentation       A bot that asks before it signs in, before each to-do and before it submits.
Resource            portal.resource
Library             automation_rules.robot
Suite Setup         Open Gate
Suite Teardown      Close Gate


*** Variables ***
${ACCOUNT}          acme-1
@{TODOS}            td-17    td-18


*** Tasks ***
Confirm Housing Costs
    [Documentation]    Stop in good time before closing; leave the rest for the next run.
    Begin Run    ${ACCOUNT}    todo_kind=confirm_housing_costs    expected_duration=2 minutes
    Sign In To The Portal
    Automation Should Be Allowed    ${ACCOUNT}    list_todos    todo_kind=confirm_housing_costs
    FOR    ${todo}    IN    @{TODOS}
        ${begun}=    Start To-do Unless Closing    ${todo}
        IF    not ${begun}    BREAK
        ${answers}    ${record}=    Fill In The Form    ${todo}
        Submit To-do    answers=${answers}    record=${record}
        Press The Submit Button
        Finish To-do
    END
    ${completed}=    Get Completed To-dos
    Log To Console    Completed: ${{len($completed)}} of ${{len($TODOS)}}
    [Teardown]    Run Keywords    Sign Out Of The Portal    AND    End Run
